with source as (
    select * from {{ source('shop', 'shop__addresses') }}
),

renamed as (
    select
        customer_id,
        address_no,
        street,
        city,
        postal_code,
        country_code,
        is_billing,
        updated_at
    from source
    where _cdc_current and not _cdc_deleted
)

select * from renamed
