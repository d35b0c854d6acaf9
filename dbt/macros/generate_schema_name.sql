{#- A model's schema is exactly the one it configures: marts land in `marts`, `stg_` views in `stg`. -#}
{% macro generate_schema_name(custom_schema_name, node) -%}
    {{ custom_schema_name | trim if custom_schema_name else target.schema }}
{%- endmacro %}
