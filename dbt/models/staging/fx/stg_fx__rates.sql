with source as (
    select * from {{ source('fx', 'fx__rates') }}
),

renamed as (
    select
        base as base_currency,
        quote as quote_currency,
        day as rate_date,
        rate,
        updated_at
    from source
    where _cdc_current and not _cdc_deleted
)

select * from renamed
