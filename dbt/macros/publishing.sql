{#-
    How a mart gets in place on Snowflake, where a transaction cannot undo DDL: its rows are computed into a temporary table,
    audited, and put in place by one statement. A model or a test that fails, a session that is lost and a process that is
    killed leave the previous mart as it was, and a reader sees the previous mart or the new one.
-#}

{#-
    dbt calls this for a table, for an incremental model that is built as a whole, and for the rows of an incremental run.
    Writing an audited table twice is the price of testing it first; incremental runs do not pay it.
-#}
{% macro snowflake__create_table_as(temporary, relation, compiled_code, language='sql') -%}
    {%- if temporary and config.get('incremental_strategy') == 'changed_keys' -%}
        {%- call statement('mart_load_before', fetch_result=true) -%} select {{ mart_load() }} {%- endcall -%}
    {%- endif -%}
    {%- if temporary or language != 'sql' or audited_tests() | length == 0 -%}
        {{ dbt.snowflake__create_table_as(temporary, relation, compiled_code, language) }}
    {%- else -%}
        {%- set candidate = make_temp_relation(relation, '__candidate') -%}
        {%- call statement('candidate') -%}
            {{ dbt.snowflake__create_table_as(true, candidate, compiled_code) }}
        {%- endcall -%}
        {%- do stop_on_failures(candidate, candidate) -%}
        {{ dbt.snowflake__create_table_as(false, relation, 'select * from ' ~ candidate) }}
    {%- endif -%}
{%- endmacro %}

{#-
    The incremental strategy of `changed_keys.sql`: audits the mart as it would be, then replaces the rows of the changed keys.

    One MERGE, since BEGIN and COMMIT around two statements leave the session in an open transaction when the second one
    fails, which the next DDL would commit. A source row either names a key, whose rows go, or is a new row, which matches
    nothing. If another build got further meanwhile, its rows are newer than these: then this one fails, and changes nothing.
-#}
{% macro snowflake__get_incremental_changed_keys_sql(arguments) -%}
    {%- set mart, fresh, key = arguments['target_relation'], arguments['temp_relation'], arguments['unique_key'] -%}
    {%- set names = arguments['dest_columns'] | map(attribute='name') | list -%}
    {%- set columns = get_quoted_csv(names) -%}
    {%- set is_unmoved = mart_load() ~ ' = ' ~ load_result('mart_load_before').table.rows[0][0] -%}
    {%- set would_be -%}
        (
            select {{ columns }} from {{ mart }} where {{ key }} not in (select {{ key }} from {{ fresh }})
            union all
            select {{ columns }} from {{ fresh }} where as_of_load is not null
        ) as tested
    {%- endset -%}
    {%- do stop_on_failures(would_be, fresh) -%}
    {%- if not run_query('select ' ~ is_unmoved).rows[0][0] -%}
        {%- do exceptions.raise_compiler_error('another build of this mart got further meanwhile') -%}
    {%- endif %}
    merge into {{ mart }} as mart
    using (
        select {{ key }} as changed_key, {{ columns }}
        from {{ fresh }}
        where {{ is_unmoved }}
        qualify row_number() over (partition by {{ key }} order by {{ key }}) = 1
        union all
        select nullif({{ key }}, {{ key }}) as changed_key, {{ columns }}
        from {{ fresh }}
        where as_of_load is not null and {{ is_unmoved }}
    ) as fresh
        on mart.{{ key }} = fresh.changed_key
    when matched then delete
    when not matched and fresh.changed_key is null then
        insert ({{ columns }})
        values ({% for name in names %}fresh.{{ adapter.quote(name) }}{{ ', ' if not loop.last }}{% endfor %})
{%- endmacro %}

{#- Fails the model for the first test that `tested` fails, and drops the table that was made for it. -#}
{% macro stop_on_failures(tested, made) -%}
    {%- for failure in audit_failures(tested) -%}
        {%- do adapter.drop_relation(made) -%}
        {%- do exceptions.raise_compiler_error(failure) -%}
    {%- endfor -%}
{%- endmacro %}
