{#- Fails for rows in which two columns differ; nulls are equal to nulls. -#}
{% test equals_column(model, column_name, other) %}
select {{ column_name }}
from {{ model }}
where {{ column_name }} is distinct from {{ other }}
{% endtest %}
