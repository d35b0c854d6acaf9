with orders as (
    select * from {{ ref('fct_orders') }}
),

final as (
    select
        placed_on as revenue_date,
        currency_code,
        count(*) as order_count,
        count(distinct customer_id) as customer_count,
        sum(unit_count) as unit_count,
        sum(total_amount) as revenue_amount,
        sum(paid_amount) as paid_amount
    from orders
    where status <> 'cancelled'
    group by placed_on, currency_code
)

select * from final
