{#-
    How a mart gets in place on Snowflake, where a transaction cannot undo DDL: the rows are computed beside the mart,
    audited there, and put in place by one statement. A model or a test that fails, a session that is lost and a process that is
    killed leave the previous mart as it was; a reader sees the previous mart or the new one.
-#}

{#-
    dbt calls this for a table, and for an incremental model that is built as a whole.

    CREATE OR REPLACE ... CLONE is atomic and copies no data. COPY GRANTS: who could read the previous table can read this one.
-#}
{% macro snowflake__create_table_as(temporary, relation, compiled_code, language='sql') -%}
    {%- set kind = adapter.build_catalog_relation(config.model) -%}
    {%- set is_audited_mart = language == 'sql' and kind.catalog_type == 'INFO_SCHEMA' and audited_tests() | length > 0 -%}
    {%- if temporary or not is_audited_mart -%}
        {{ dbt.snowflake__create_table_as(temporary, relation, compiled_code, language) }}
    {%- else -%}
        {%- set candidate = relation.incorporate(path={'identifier': relation.identifier ~ '__candidate'}) -%}
        {%- call statement('candidate') -%}
            {{ dbt.snowflake__create_table_as(false, candidate, compiled_code, language) }}
        {%- endcall -%}
        {%- for failure in audit_failures(candidate) -%}
            {%- do adapter.drop_relation(candidate) -%}
            {%- do exceptions.raise_compiler_error(failure) -%}
        {%- endfor %}
        create or replace {{ 'transient ' if kind.is_transient }}table {{ relation }} clone {{ candidate }} copy grants;
        drop table if exists {{ candidate }};
    {%- endif -%}
{%- endmacro %}

{#-
    The incremental strategy of `changed_keys.sql`: audits the mart as it would be, then replaces the rows of the changed keys.

    One MERGE, since BEGIN and COMMIT around two statements leave the session in an open transaction when the second one
    fails, which the next DDL would commit. A source row either names a key, whose rows go, or is a new row, which matches nothing.
-#}
{% macro snowflake__get_incremental_changed_keys_sql(arguments) -%}
    {%- set mart, fresh, key = arguments['target_relation'], arguments['temp_relation'], arguments['unique_key'] -%}
    {%- set names = arguments['dest_columns'] | map(attribute='name') | list -%}
    {%- set columns = get_quoted_csv(names) -%}
    {%- set would_be -%}
        (
            select {{ columns }} from {{ mart }} where {{ key }} not in (select {{ key }} from {{ fresh }})
            union all
            select {{ columns }} from {{ fresh }} where as_of_load is not null
        ) as tested
    {%- endset -%}
    {%- for failure in audit_failures(would_be) -%}
        {%- do adapter.drop_relation(fresh) -%}
        {%- do exceptions.raise_compiler_error(failure) -%}
    {%- endfor %}
    merge into {{ mart }} as mart
    using (
        select {{ key }} as changed_key, {{ columns }}
        from {{ fresh }}
        union all
        select nullif({{ key }}, {{ key }}) as changed_key, {{ columns }}
        from {{ fresh }}
        where as_of_load is not null
    ) as fresh
        on mart.{{ key }} = fresh.changed_key
    when matched then delete
    when not matched and fresh.changed_key is null then
        insert ({{ columns }})
        values ({% for name in names %}fresh.{{ adapter.quote(name) }}{{ ', ' if not loop.last }}{% endfor %})
{%- endmacro %}
