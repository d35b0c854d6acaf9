{#- Fails for values of a column that have more than one row in which a condition holds. -#}
{% test at_most_one_where(model, column_name, condition) %}
select {{ column_name }}
from {{ model }}
where {{ condition }}
group by {{ column_name }}
having count(*) > 1
{% endtest %}
