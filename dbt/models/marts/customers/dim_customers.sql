with versions as (
    select * from {{ ref('stg_shop__customer_versions') }}
),

addresses as (
    select * from {{ ref('stg_shop__addresses') }}
),

billing_addresses as (
    select
        customer_id,
        city,
        country_code,
        row_number() over (partition by customer_id order by address_no) as place
    from addresses
    where is_billing
),

final as (
    select
        cast(versions.customer_id as varchar) || '-' || cast(versions.valid_from_sequence as varchar) as customer_version_id,
        versions.customer_id,
        row_number() over (
            partition by versions.customer_id order by versions.valid_from_sequence
        ) as version_no,
        versions.full_name,
        versions.email,
        versions.tier,
        versions.interests,
        versions.language_code,
        versions.has_newsletter,
        versions.born_on,
        versions.created_at,
        case when versions.is_current then billing_addresses.city end as billing_city,
        case when versions.is_current then billing_addresses.country_code end as billing_country_code,
        versions.valid_from_at,
        versions.valid_to_at,
        versions.is_current
    from versions
    left join billing_addresses
        on versions.customer_id = billing_addresses.customer_id and billing_addresses.place = 1
)

select * from final
