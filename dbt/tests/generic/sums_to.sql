{#- Fails if a column's sum is not the sum of a column of another model. -#}
{% test sums_to(model, column_name, to, field, condition) %}
select here.total as here, there.total as there
from (select coalesce(sum({{ column_name }}), 0) as total from {{ model }}) as here
cross join (select coalesce(sum({{ field }}), 0) as total from {{ to }} where {{ condition }}) as there
where here.total <> there.total
{% endtest %}
