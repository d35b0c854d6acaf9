{#-
    Tests a mart before it replaces the one that is there: a mart that fails never gets in people's way.

    Runs every test of the model that fails a build (severity `error`, no store of its own) and reads nothing but the model
    and what it is built from. On DuckDB that is a post-hook inside the model's transaction: if a test fails, the model
    fails, its transaction is rolled back, and the previous table stays. Snowflake commits DDL by itself; there the macros of
    `publishing.sql` audit what is to be put in place, and nothing is left for the hook to do.
-#}
{% macro audit() -%}
    {{ adapter.dispatch('audit')() }}
{%- endmacro %}

{% macro snowflake__audit() -%}{%- endmacro %}

{% macro default__audit() -%}
    {%- for failure in audit_failures(this) -%}
        {%- do exceptions.raise_compiler_error(failure) -%}
    {%- endfor -%}
{%- endmacro %}

{#- A text for each of the model's tests that fails on `tested`: a relation, or a subquery with an alias. -#}
{% macro audit_failures(tested) -%}
    {%- set failures = [] -%}
    {%- if execute -%}
        {%- set checks = [] -%}
        {%- for test in audited_tests() -%}
            {%- do checks.append("select '" ~ test.name ~ "' as name, count(*) as failures from (" ~ audit_sql(test, tested) ~ ") as failing") -%}
        {%- endfor -%}
        {%- if checks -%}
            {%- for row in run_query(checks | join('\nunion all\n')) if row[1] > 0 -%}
                {%- do failures.append('audit: ' ~ row[1] ~ ' rows fail the test ' ~ row[0]) -%}
            {%- endfor -%}
        {%- endif -%}
    {%- endif -%}
    {{- return(failures) -}}
{%- endmacro %}

{% macro audited_tests() -%}
    {%- set known = [model.unique_id] + model.depends_on.nodes -%}
    {%- set found = [] -%}
    {%- for node in graph.nodes.values() if is_audited(node, known) -%}
        {%- do found.append(node) -%}
    {%- endfor -%}
    {{- return(found) -}}
{%- endmacro %}

{% macro is_audited(node, known) -%}
    {{- return(
        node.resource_type == 'test'
        and node.attached_node == model.unique_id
        and node.test_metadata is not none
        and node.config.enabled
        and (node.config.severity | lower) == 'error'
        and (node.depends_on.nodes | reject('in', known) | list) == []
    ) -}}
{%- endmacro %}

{#- The test's query over `tested`; arguments that are `ref('...')` become the relation they name. -#}
{% macro audit_sql(test, tested) -%}
    {%- set arguments = {} -%}
    {%- for name, value in test.test_metadata.kwargs.items() if name != 'model' -%}
        {%- do arguments.update({name: audited_relation(value) if value is string and value.startswith('ref(') else value}) -%}
    {%- endfor -%}
    {%- set part = '(select * from ' ~ tested ~ ' where ' ~ test.config.where ~ ') as tested' if test.config.where else tested -%}
    {%- set prefix = test.test_metadata.namespace ~ '.' if test.test_metadata.namespace else '' -%}
    {{ context[prefix ~ 'test_' ~ test.test_metadata.name](model=part, **arguments) }}
{%- endmacro %}

{% macro audited_relation(reference) -%}
    {%- set name = reference.split(reference[4])[1] -%}
    {%- for node in graph.nodes.values() if node.resource_type == 'model' and node.name == name -%}
        {{ api.Relation.create(database=node.database, schema=node.schema, identifier=node.alias) }}
    {%- endfor -%}
{%- endmacro %}
