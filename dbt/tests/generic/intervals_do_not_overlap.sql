{#- Fails for intervals [from, until) of one entity that begin before an earlier one ends, and for open ones that are not last. -#}
{% test intervals_do_not_overlap(model, column_name, until, entity, ordered_by) %}
with intervals as (
    select
        {{ entity }},
        {{ until }} as ends,
        lead({{ column_name }}) over (partition by {{ entity }} order by {{ ordered_by }}) as next_begins
    from {{ model }}
)

select *
from intervals
where next_begins is not null and (ends is null or ends > next_begins)
{% endtest %}
