{#-
    Tags every statement of a node on Snowflake, so that its cost can be told from the query history: a JSON object of
    `product` (the profile's `query_tag`), `model`, and in a test `test`. A node's own `query_tag` goes before it.

    One statement a node: what the tag was is not asked, and it stays until the next node of the session sets its own.
-#}
{% macro snowflake__set_query_tag() -%}
    {%- do run_query("alter session set query_tag = '" ~ node_query_tag() | replace("'", "''") ~ "'") -%}
{%- endmacro %}

{% macro snowflake__unset_query_tag(original_query_tag) -%}{%- endmacro %}

{% macro node_query_tag() -%}
    {%- set tag = {'product': target.query_tag or project_name} -%}
    {%- if model.resource_type == 'test' -%}
        {%- do tag.update({'model': graph.nodes[model.attached_node].name if model.attached_node else none, 'test': model.name}) -%}
    {%- else -%}
        {%- do tag.update({'model': model.name}) -%}
    {%- endif -%}
    {{- return(config.get('query_tag') or tojson(tag)) -}}
{%- endmacro %}
