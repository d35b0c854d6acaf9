with versions as (
    select * from {{ ref('stg_shop__customer_versions') }}
)

select * exclude (valid_from_sequence, valid_from_at, valid_to_at, is_current)
from versions
where is_current
