with source as (
    select * from {{ source('shop', 'shop__order_items') }}
),

renamed as (
    select
        order_id,
        line_no,
        sku,
        quantity,
        unit_price,
        discount_amount,
        quantity * unit_price - discount_amount as line_amount
    from source
    where _cdc_current and not _cdc_deleted
)

select * from renamed
