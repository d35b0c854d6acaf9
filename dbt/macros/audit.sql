{#-
    Tests a mart before it replaces the one that is there: called as a post-hook, inside the model's transaction.

    Runs every test of the model that fails a build (severity `error`, no store of its own) and reads nothing but the model
    and what it is built from. If one fails, the model fails, its transaction is rolled back, and the
    previous table stays. Where DDL commits by itself (Snowflake) this cannot be; there the tests run after the model.
-#}
{% macro audit() -%}
    {{ adapter.dispatch('audit')() }}
{%- endmacro %}

{% macro snowflake__audit() -%}{%- endmacro %}

{% macro default__audit() -%}
    {%- if execute -%}
        {%- set checks = [] -%}
        {%- for test in graph.nodes.values() if is_audited(test) -%}
            {%- do checks.append("select '" ~ test.name ~ "' as name, count(*) as failures from (" ~ audit_sql(test) ~ ") as failing") -%}
        {%- endfor -%}
        {%- if checks -%}
            {%- for row in run_query(checks | join('\nunion all\n')) if row[1] > 0 -%}
                {%- do exceptions.raise_compiler_error('audit: ' ~ row[1] ~ ' rows fail the test ' ~ row[0]) -%}
            {%- endfor -%}
        {%- endif -%}
    {%- endif -%}
{%- endmacro %}

{% macro is_audited(node) -%}
    {%- set known = [model.unique_id] + model.depends_on.nodes -%}
    {{- return(
        node.resource_type == 'test'
        and node.attached_node == model.unique_id
        and node.test_metadata is not none
        and node.config.enabled
        and (node.config.severity | lower) == 'error'
        and (node.depends_on.nodes | reject('in', known) | list) == []
    ) -}}
{%- endmacro %}

{#- The test's query over the new table; arguments that are `ref('...')` become the relation they name. -#}
{% macro audit_sql(test) -%}
    {%- set arguments = {} -%}
    {%- for name, value in test.test_metadata.kwargs.items() if name != 'model' -%}
        {%- do arguments.update({name: audited_relation(value) if value is string and value.startswith('ref(') else value}) -%}
    {%- endfor -%}
    {%- set tested = '(select * from ' ~ this ~ ' where ' ~ test.config.where ~ ') as tested' if test.config.where else this -%}
    {%- set prefix = test.test_metadata.namespace ~ '.' if test.test_metadata.namespace else '' -%}
    {{ context[prefix ~ 'test_' ~ test.test_metadata.name](model=tested, **arguments) }}
{%- endmacro %}

{% macro audited_relation(reference) -%}
    {%- set name = reference.split(reference[4])[1] -%}
    {%- for node in graph.nodes.values() if node.resource_type == 'model' and node.name == name -%}
        {{ api.Relation.create(database=node.database, schema=node.schema, identifier=node.alias) }}
    {%- endfor -%}
{%- endmacro %}
