{{ config(materialized='incremental', incremental_strategy='changed_keys', unique_key='order_id') }}

{% set streams = {
    'shop__orders': ['order_id'],
    'shop__order_items': ['order_id', 'line_no'],
} %}

with orders as (
    select * from {{ ref('stg_shop__orders') }}
),

order_items as (
    select * from {{ ref('stg_shop__order_items') }}
),

{% if is_incremental() %}
changed as (
    {{ changed_keys('order_id', 'bigint', streams, all_keys='order_items') }}
),
{% endif %}

changed_items as (
    select * from order_items
    {{ where_changed('order_id') }}
),

final as (
    select
        changed_items.order_id,
        changed_items.line_no,
        changed_items.sku,
        orders.customer_id,
        orders.status,
        orders.placed_on,
        changed_items.quantity,
        changed_items.unit_price,
        changed_items.discount_amount,
        changed_items.line_amount,
        ({{ last_load(streams) }}) as as_of_load
    from changed_items
    left join orders on changed_items.order_id = orders.order_id
)

{{ rows_of_changed('final', 'order_id') }}
