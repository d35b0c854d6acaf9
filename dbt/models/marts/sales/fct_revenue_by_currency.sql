with daily_revenue as (
    select * from {{ ref('fct_daily_revenue') }}
),

rates as (
    select * from {{ ref('stg_fx__rates') }}
),

final as (
    select
        daily_revenue.revenue_date,
        daily_revenue.currency_code as base_currency,
        rates.quote_currency,
        rates.rate,
        daily_revenue.order_count,
        daily_revenue.revenue_amount,
        cast(daily_revenue.revenue_amount * rates.rate as decimal(18, 2)) as converted_amount
    from daily_revenue
    inner join rates
        on
            daily_revenue.currency_code = rates.base_currency
            and daily_revenue.revenue_date = rates.rate_date
)

select * from final
