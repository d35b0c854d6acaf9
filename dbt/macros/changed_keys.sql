{#-
    Incremental marts that hear of every change, hard deletes included.

    A mart built by the strategy `changed_keys` carries `as_of_load`: the number of the last load that its newest rows were
    computed from. The next run asks the changelogs which keys changed in later loads, computes the rows of just those
    keys, and puts them in place of what was there. Mark and data come from one statement, so that a load
    that commits meanwhile is neither lost nor half seen; a failed run leaves both as they were.

    A mart's streams have to belong to one source, since every source numbers its loads by itself. `streams` maps each
    table to the columns of its key:

        {'shop__orders': ['order_id'], 'shop__payments': ['payment_id']}
-#}

{#-
    The keys (column `key`, of type `type`) whose rows may differ from what the mart holds.

    - A change of a row whose own key contains `key` names it: in the new image and, where the key changed, in the old one.
    - A row that only refers to `key` may have left it, and a delete carries nothing but the row's own key: every value
      of `key` that the changelog ever saw for such a row counts.
    - A TRUNCATE, a stream copied again, and a changelog that was begun anew name no keys: everything counts, that is all keys
      of the mart and of `all_keys` (the relation that has one row per key).
-#}
{% macro changed_keys(key, type, streams, all_keys) %}
    select distinct {{ key }}
    from (
        {%- for table, own_key in streams.items() %}
        {{ keys_named_by(key, type, table, own_key) }}
        union all
        {%- endfor %}
        select {{ key }} from {{ this }} where {{ everything_counts(streams) }}
        union all
        select {{ key }} from {{ all_keys }} where {{ everything_counts(streams) }}
    ) as named
    where {{ key }} is not null
{% endmacro %}

{% macro keys_named_by(key, type, table, own_key) %}
    {%- set changelog = source('shop_changelog', table) -%}
    {%- if key in own_key %}
        select cast({{ key }} as {{ type }}) as {{ key }} from {{ changelog }} where _cdc_load > {{ mart_load() }}
        union all
        select cast({{ old_key_text(key) }} as {{ type }}) as {{ key }}
        from {{ changelog }}
        where _cdc_load > {{ mart_load() }} and _cdc_old_key is not null
    {%- else %}
        select cast(past.{{ key }} as {{ type }}) as {{ key }}
        from {{ changelog }} as past
        inner join (
            select {% for name in own_key %}cast({{ name }} as varchar) as {{ name }}{{ ', ' if not loop.last }}{% endfor %}
            from {{ changelog }}
            where _cdc_load > {{ mart_load() }}
            union
            select {% for name in own_key %}{{ old_key_text(name) }} as {{ name }}{{ ', ' if not loop.last }}{% endfor %}
            from {{ changelog }}
            where _cdc_load > {{ mart_load() }} and _cdc_old_key is not null
        ) as fresh
            on {% for name in own_key %}cast(past.{{ name }} as varchar) = fresh.{{ name }}{{ ' and ' if not loop.last }}{% endfor %}
    {%- endif %}
{% endmacro %}

{% macro everything_counts(streams) -%}
    (
        {%- for table in streams %}
        exists (
            select 1
            from {{ source('shop_changelog', table) }}
            where _cdc_op in ('truncate', 'snapshot') and _cdc_load > {{ mart_load() }}
        )
        or
        {%- endfor %} ({{ last_load(streams) }}) < {{ mart_load() }}
    )
{%- endmacro %}

{#- The number of the last load that changed one of the streams; 0 if none did. -#}
{% macro last_load(streams) -%}
    select coalesce(max(last_load), 0)
    from (
        {%- for table in streams %}
        select max(_cdc_load) as last_load from {{ source('shop_changelog', table) }}
        {{- ' union all' if not loop.last }}
        {%- endfor %}
    ) as loads
{%- endmacro %}

{#- The load up to which the mart is right; -1 for an empty mart. -#}
{% macro mart_load() -%}
    (select coalesce(max(as_of_load), -1) from {{ this }})
{%- endmacro %}

{#- Restricts a CTE to the changed keys in an incremental run. -#}
{% macro where_changed(key) -%}
    {% if is_incremental() %}where {{ key }} in (select {{ key }} from changed){% endif %}
{%- endmacro %}

{#- The model's result: the rows of `final`, and in an incremental run a row of nulls for every changed key that has none. -#}
{% macro rows_of_changed(final, key) -%}
    {% if is_incremental() -%}
    select changed.{{ key }}, {{ final }}.* exclude ({{ key }})
    from changed
    left join {{ final }} on changed.{{ key }} = {{ final }}.{{ key }}
    {%- else -%}
    select * from {{ final }}
    {%- endif %}
{%- endmacro %}

{#-
    dbt calls this for `incremental_strategy: changed_keys`; keys without a row (no `as_of_load`) only go.
    Snowflake's is in `publishing.sql`.
-#}
{% macro get_incremental_changed_keys_sql(arguments) -%}
    {{ adapter.dispatch('get_incremental_changed_keys_sql')(arguments) }}
{%- endmacro %}

{% macro default__get_incremental_changed_keys_sql(arguments) -%}
    {%- set columns = get_quoted_csv(arguments['dest_columns'] | map(attribute='name')) -%}
    delete from {{ arguments['target_relation'] }}
    where {{ arguments['unique_key'] }} in (select {{ arguments['unique_key'] }} from {{ arguments['temp_relation'] }});
    insert into {{ arguments['target_relation'] }} ({{ columns }})
    select {{ columns }} from {{ arguments['temp_relation'] }} where as_of_load is not null
{%- endmacro %}
