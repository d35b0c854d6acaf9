with source as (
    select * from {{ source('shop', 'shop__payments') }}
),

renamed as (
    select
        cast(payment_id as varchar) as payment_id,
        order_id,
        cast(method as varchar) as method,
        amount,
        {{ json_text('details', 'provider') }} as provider,
        cast({{ json_text('details', 'attempts') }} as integer) as attempt_count,
        paid_at
    from source
    where _cdc_current and not _cdc_deleted
)

select * from renamed
