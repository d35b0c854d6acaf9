with source as (
    select * from {{ source('shop', 'shop__customers') }}
),

renamed as (
    select
        customer_id,
        cast(customer_uuid as varchar) as customer_uuid,
        full_name,
        email,
        cast(tier as varchar) as tier,
        {{ array_text('interests') }} as interests,
        {{ array_count('interests') }} as interest_count,
        {{ json_text('preferences', 'language') }} as language_code,
        {{ json_text('preferences', 'newsletter') }} = 'true' as has_newsletter,
        born_on,
        created_at,
        updated_at,
        _cdc_valid_from as valid_from_sequence,
        _cdc_valid_from_at as valid_from_at,
        _cdc_valid_to_at as valid_to_at,
        _cdc_current as is_current
    from source
    where not _cdc_deleted
)

select * from renamed
