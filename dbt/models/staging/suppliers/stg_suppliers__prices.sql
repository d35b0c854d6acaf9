with source as (
    select * from {{ source('suppliers', 'suppliers__prices') }}
),

renamed as (
    select
        supplier,
        sku,
        unit_cost,
        currency as currency_code,
        valid_from
    from source
    where _cdc_current and not _cdc_deleted
)

select * from renamed
