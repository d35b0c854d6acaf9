{{ config(materialized='incremental', incremental_strategy='changed_keys', unique_key='order_id') }}

{% set streams = {
    'shop__orders': ['order_id'],
    'shop__order_items': ['order_id', 'line_no'],
    'shop__payments': ['payment_id'],
} %}

with orders as (
    select * from {{ ref('stg_shop__orders') }}
),

order_items as (
    select * from {{ ref('stg_shop__order_items') }}
),

payments as (
    select * from {{ ref('stg_shop__payments') }}
),

{% if is_incremental() %}
changed as (
    {{ changed_keys('order_id', 'bigint', streams, all_keys='orders') }}
),
{% endif %}

items_per_order as (
    select
        order_id,
        count(*) as item_count,
        sum(quantity) as unit_count,
        sum(line_amount) as items_amount
    from order_items
    {{ where_changed('order_id') }}
    group by order_id
),

payments_per_order as (
    select
        order_id,
        count(*) as payment_count,
        sum(amount) as paid_amount,
        max(paid_at) as last_paid_at
    from payments
    {{ where_changed('order_id') }}
    group by order_id
),

changed_orders as (
    select * from orders
    {{ where_changed('order_id') }}
),

final as (
    select
        changed_orders.order_id,
        changed_orders.customer_id,
        changed_orders.status,
        changed_orders.currency_code,
        changed_orders.placed_at,
        changed_orders.placed_on,
        changed_orders.ship_on,
        changed_orders.total_amount,
        coalesce(items_per_order.item_count, 0) as item_count,
        coalesce(items_per_order.unit_count, 0) as unit_count,
        coalesce(items_per_order.items_amount, 0) as items_amount,
        coalesce(payments_per_order.payment_count, 0) as payment_count,
        coalesce(payments_per_order.paid_amount, 0) as paid_amount,
        payments_per_order.last_paid_at,
        coalesce(payments_per_order.paid_amount, 0) >= changed_orders.total_amount as is_paid,
        changed_orders.updated_at,
        ({{ last_load(streams) }}) as as_of_load
    from changed_orders
    left join items_per_order on changed_orders.order_id = items_per_order.order_id
    left join payments_per_order on changed_orders.order_id = payments_per_order.order_id
)

{{ rows_of_changed('final', 'order_id') }}
