with products as (
    select * from {{ ref('dim_products') }}
),

prices as (
    select * from {{ ref('stg_suppliers__prices') }}
),

current_prices as (
    select *
    from prices
    qualify row_number() over (partition by supplier, sku order by valid_from desc) = 1
),

cheapest as (
    select *
    from current_prices
    qualify row_number() over (partition by sku order by unit_cost, supplier) = 1
),

final as (
    select
        products.sku,
        products.product_name,
        products.category,
        products.price,
        cheapest.supplier,
        cheapest.unit_cost,
        products.price - cheapest.unit_cost as margin_amount,
        cheapest.valid_from as cost_valid_from
    from products
    inner join cheapest on products.sku = cheapest.sku
    where not products.is_deleted
)

select * from final
