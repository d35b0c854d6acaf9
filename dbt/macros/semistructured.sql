{#- The only places that know how a warehouse reads JSON, arrays and instants. -#}

{#- The text of a member of a JSON object, null where it is missing. -#}
{% macro json_text(column, member) -%}
    {{ adapter.dispatch('json_text')(column, member) }}
{%- endmacro %}

{% macro default__json_text(column, member) -%}
    json_extract_string(to_json({{ column }}), '$."{{ member }}"')
{%- endmacro %}

{% macro snowflake__json_text(column, member) -%}
    {{ column }}:"{{ member }}"::varchar
{%- endmacro %}

{#- The text of a key column before the change, in a changelog; null where the change did not alter the key. -#}
{% macro old_key_text(column) -%}
    {{ adapter.dispatch('old_key_text')(column) }}
{%- endmacro %}

{% macro default__old_key_text(column) -%}
    {{ json_text('_cdc_old_key', column) }}
{%- endmacro %}

{#- A text of JSON there. -#}
{% macro snowflake__old_key_text(column) -%}
    {{ json_text('parse_json(_cdc_old_key)', column) }}
{%- endmacro %}

{#- How many elements an array has; null for a null array. -#}
{% macro array_count(column) -%}
    {{ adapter.dispatch('array_count')(column) }}
{%- endmacro %}

{% macro default__array_count(column) -%}
    json_array_length(to_json({{ column }}))
{%- endmacro %}

{% macro snowflake__array_count(column) -%}
    array_size(cast({{ column }} as array))
{%- endmacro %}

{#- The elements of a text array in order, separated by a comma and a space; nulls are left out. -#}
{% macro array_text(column) -%}
    {{ adapter.dispatch('array_text')(column) }}
{%- endmacro %}

{% macro default__array_text(column) -%}
    array_to_string(cast(to_json({{ column }}) as varchar[]), ', ')
{%- endmacro %}

{% macro snowflake__array_text(column) -%}
    array_to_string(array_compact(cast({{ column }} as array)), ', ')
{%- endmacro %}

{#- The calendar day of an instant in UTC, whatever the time zone of the session. -#}
{% macro utc_date(column) -%}
    {{ adapter.dispatch('utc_date')(column) }}
{%- endmacro %}

{% macro default__utc_date(column) -%}
    cast({{ column }} at time zone 'UTC' as date)
{%- endmacro %}

{% macro snowflake__utc_date(column) -%}
    to_date(to_timestamp_ntz(date_part(epoch_microsecond, {{ column }}), 6))
{%- endmacro %}
