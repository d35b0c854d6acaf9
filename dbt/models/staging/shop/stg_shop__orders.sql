with source as (
    select * from {{ source('shop', 'shop__orders') }}
),

renamed as (
    select
        order_id,
        customer_id,
        cast(status as varchar) as status,
        currency as currency_code,
        total_amount,
        note,
        placed_at,
        {{ utc_date('placed_at') }} as placed_on,
        ship_on,
        updated_at
    from source
    where _cdc_current and not _cdc_deleted
)

select * from renamed
