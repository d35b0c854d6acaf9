with products as (
    select * from {{ ref('stg_shop__products') }}
),

final as (
    select
        sku,
        product_name,
        category,
        price,
        weight_kg,
        colour,
        tags,
        length(description) as description_length,
        is_discontinued,
        is_deleted,
        updated_at
    from products
)

select * from final
