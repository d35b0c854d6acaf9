with source as (
    select * from {{ source('shop', 'shop__products') }}
),

renamed as (
    select
        sku,
        product_name,
        category,
        price,
        weight_kg,
        {{ json_text('attributes', 'colour') }} as colour,
        {{ array_text('tags') }} as tags,
        description,
        is_discontinued,
        updated_at,
        _cdc_deleted as is_deleted
    from source
    where _cdc_current
)

select * from renamed
