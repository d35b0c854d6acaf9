"""Pipeline files: what they mean, and everything wrong with them at once."""

from __future__ import annotations

import pytest

from entrypoints.pipeline_file import load_pipeline
from entrypoints.references import Secrets
from entrypoints.settings import Settings
from pipeline.domain.contract import Contract, OnMisfit, OnSchemaChange, Rule, RuleKind, Severity
from pipeline.domain.errors import ConfigError
from pipeline.domain.stream import BatchLimits, Mode, PipelineSpec, StreamSpec, SystemSpec
from tests.support.pipeline_files import DSN, load, problems


def test_the_smallest_file_takes_everything_else_from_settings(settings: Settings) -> None:
    file = load(settings, "source: {kind: postgres, dsn: '${CRM_DSN}'}\nstreams: {people: }\n", CRM_DSN=DSN)
    assert file.spec == PipelineSpec(
        name="crm",
        source=SystemSpec("postgres", "crm", {"dsn": DSN}),
        warehouse=SystemSpec("duckdb", "duckdb", {"path": str(settings.home / "var/crm.duckdb")}),
        streams={"people": StreamSpec("people", "public.people", "crm")},
        limits=BatchLimits(rows=10, age_s=0.2),
    )
    assert "swordfish" not in repr(file)


def test_everything_that_can_be_said_of_a_pipeline_is_taken(settings: Settings) -> None:
    file = load(
        settings,
        """
description: People and notes.
schedule: "@hourly"
source:
  kind: postgres
  name: office
  dsn: ${CRM_DSN}
  slot: office_slot
  heartbeat: 1m
warehouse: {kind: memory}
streams: {notes: }
transform: {select: "tag:crm", every: 30s, timeout: 5m}
batch: {size: 1MB, spill: 2MB, idle_checkpoint: 10s}
""",
        CRM_DSN=DSN,
    )
    assert file.spec == PipelineSpec(
        name="crm",
        description="People and notes.",
        schedule="@hourly",
        source=SystemSpec("postgres", "office", {"dsn": DSN, "slot": "office_slot", "heartbeat_s": 60.0}),
        warehouse=SystemSpec("memory", "memory", {}),
        streams={"notes": StreamSpec("notes", "public.notes", "office")},
        transform=SystemSpec(
            "dbt", "dbt", {"project": str(settings.home / "dbt"), "select": "tag:crm", "timeout_s": 300.0}
        ),
        transform_every_s=30.0,
        limits=BatchLimits(rows=10, age_s=0.2, bytes=1024 * 1024, spill_bytes=2 * 1024 * 1024, idle_checkpoint_s=10.0),
    )


def test_everything_that_can_be_said_of_streams_is_taken(settings: Settings) -> None:
    (settings.config_dir / "contracts" / "people.yaml").write_text(
        "version: 3\non_schema_change: stop\non_misfit: 'null'\nrules:\n"
        "  - {column: email, pattern: '@', severity: warn, name: looks like an address}\n"
        "  - {column: age, range: {min: 0, max: 150}, severity: stop}\n"
        "  - {columns: [country, tax_id], unique: true}\n"
    )
    file = load(
        settings,
        """
source: {kind: postgres, dsn: "${CRM_DSN}"}
streams:
  people: {relation: hr.people, mode: history, exclude: [photo], contract: people}
  notes: {mode: append, contract: {rules: [{column: body, length: {max: 9}}, {column: kind, accepted: [a, 1]}]}}
""",
        CRM_DSN=DSN,
    )
    rules_of_people = (
        Rule(RuleKind.PATTERN, ("email",), Severity.WARN, pattern="@", name="looks like an address"),
        Rule(RuleKind.RANGE, ("age",), Severity.STOP, minimum=0, maximum=150),
        Rule(RuleKind.UNIQUE, ("country", "tax_id")),
    )
    rules_of_notes = (
        Rule(RuleKind.LENGTH, ("body",), maximum=9),
        Rule(RuleKind.ACCEPTED, ("kind",), accepted=("a", 1)),
    )
    people = Contract(rules_of_people, version="3", on_schema_change=OnSchemaChange.STOP, on_misfit=OnMisfit.NULL)
    assert file.spec.streams == {
        "people": StreamSpec(
            "people", "hr.people", "crm", mode=Mode.HISTORY, exclude=frozenset({"photo"}), contract=people
        ),
        "notes": StreamSpec("notes", "public.notes", "crm", mode=Mode.APPEND, contract=Contract(rules=rules_of_notes)),
    }


def test_every_problem_is_told_at_once_with_line_key_and_what_is_allowed(settings: Settings) -> None:
    text = """\
sorce: 1
source: {kind: postgras, dsn: "postgresql://app:secret@h/x"}
streams:
  orders: {mode: miror, contract: nope}
  a b:
  a_b:
    contract: {rules: [{column: a}, {column: b, pattern: "(?=x)"}, {column: c, not_null: true, severity: stopp}]}
batch: {age: 10 parsecs, rows: 0}
warehouse: {kind: duckdb, pathh: x}
warehouse: {kind: duckdb, pathh: x}
"""
    allowed = "description, schedule, airflow, source, sources, warehouse, transform, batch, streams"
    assert problems(settings, text) == [
        f"1 sorce: is not known here; allowed: {allowed}|Did you mean source?",
        "2 source.dsn: holds a secret that is written out|Put it into an environment variable or a file, and write "
        "${NAME} or ${file:/run/secrets/name} instead.",
        "2 source.kind: is postgras; allowed: files, postgres, rest, sql|Did you mean postgres?",
        "3 streams: is a b; a name starts with a letter and has letters, digits and _ only, at most 63|",
        "4 streams.orders.contract: names the contract nope, but there is no "
        f"{settings.config_dir}/contracts/nope.yaml|",
        "4 streams.orders.mode: is miror; allowed: mirror, soft_delete, history, append|Did you mean mirror?",
        "6 streams.a_b: would share the table crm__a_b with the stream a b|",
        "7 streams.a_b.contract.rules.1.pattern: is not a regular expression that RE2 takes "
        "(no look-around, no back-references)|",
        "7 streams.a_b.contract.rules.2.severity: is stopp; allowed: warn, quarantine, stop|Did you mean stop?",
        "8 batch.age: is 10 parsecs; write a duration such as 200ms, 10s, 1m30s, 2h or 1d|",
        "8 batch.rows: is 0; it must be 1 or more|",
        "9 warehouse.pathh: is not known here; allowed: kind, path, wait, memory_limit, threads, temp_directory|"
        "Did you mean path?",
        "10 warehouse: is given twice, first in line 9|",
        "10 warehouse.kind: is given twice, first in line 9|",
        "10 warehouse.pathh: is given twice, first in line 9|",
    ]


@pytest.mark.parametrize(
    ("rule", "what"),
    [
        ("{column: a}", "has none; a rule has exactly one of type, not_null, accepted, range, length, pattern, unique"),
        (
            "{column: a, not_null: true, pattern: x}",
            "has not_null and pattern; a rule has exactly one of type, not_null, accepted, range, length, pattern, "
            "unique",
        ),
        ("{not_null: true}", "needs either column or columns"),
        ("{columns: [a, b], not_null: true}", "has several columns; only unique takes more than one, not not_null"),
    ],
)
def test_a_rule_that_says_too_much_or_too_little_is_refused(settings: Settings, rule: str, what: str) -> None:
    text = f"source: {{kind: postgres, host: h}}\nstreams:\n  a: {{contract: {{rules: [{rule}]}}}}\n"
    assert problems(settings, text) == [f"3 streams.a.contract.rules.0: {what}|"]


def test_a_missing_variable_is_told_with_the_others(settings: Settings) -> None:
    assert problems(settings, "source: {kind: postgres, dsn: '${CRM_DSN}'}\nstreams: {people: }\n") == [
        "1 source.dsn: the environment variable CRM_DSN is not set|Set it, for example: export CRM_DSN=..."
    ]


def test_commands_that_need_no_source_go_on_without_its_secret(settings: Settings) -> None:
    file = load(settings, "source: {kind: postgres, dsn: '${CRM_DSN}'}\nstreams: {people: }\n", needs_source=False)
    assert [gap.key for gap in file.source_gaps.values()] == ["source.dsn"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ["None source: is missing|", "None streams: is missing|"]),
        ("- a\n", ["None : is a list; it must be a mapping|"]),
        ("streams: [a\n", ["2 : is not valid YAML: expected ',' or ']', but got '<stream end>'|"]),
        (
            "source: {kind: postgres}\nstreams: {}\n",
            ["1 source: needs dsn, or at least host|", "2 streams: is empty|"],
        ),
    ],
)
def test_files_that_are_hardly_any_are_refused_in_words(settings: Settings, text: str, expected: list[str]) -> None:
    assert problems(settings, text) == expected


def test_a_pipeline_that_does_not_exist_names_those_that_do(settings: Settings) -> None:
    (settings.config_dir / "pipelines" / "crm.yaml").touch()
    with pytest.raises(ConfigError) as caught:
        load_pipeline("crn", settings, environment={})
    assert (caught.value.what, caught.value.hint) == (
        "there is no pipeline called crn; there are: crm",
        "Did you mean crm?",
    )


def test_the_secrets_of_a_file_are_known_afterwards(settings: Settings) -> None:
    path = settings.config_dir / "pipelines" / "crm.yaml"
    path.write_text("source: {kind: postgres, host: h, password: '${PW}'}\nstreams: {people: }\n")
    secrets = Secrets()
    load_pipeline(str(path), settings, environment={"PW": "swordfish"}, secrets=secrets)
    assert secrets.values == {"swordfish"}


def test_what_is_wrong_about_its_dag_is_told_with_the_rest(settings: Settings) -> None:
    text = """\
source: {kind: postgres, dsn: "${CRM_DSN}"}
schedule: "60 * * * *"
streams: {people: }
airflow:
  retries: -1
  timeout: soon
  layers: ["../x"]
  verify: [peple]
  polls: 5s
"""
    assert problems(settings, text) == [
        "2 schedule: is 60 * * * *; write a cron expression such as '*/10 * * * *', a preset such as @hourly, "
        "@continuous, @changes, {every: 15m} or {assets: [shop/marts/fct_orders]}|",
        "5 airflow.retries: is -1; it must be 0 or more|",
        "6 airflow.timeout: is soon; write a duration such as 200ms, 10s, 1m30s, 2h or 1d|",
        "7 airflow.layers.0: is ../x; a layer is a folder below the project's models: "
        "letters, digits, _, - and / only|",
        "8 airflow.verify: names peple, which is no stream of this file|Did you mean people?",
        "9 airflow.polls: is not known here|Did you mean poll?",
    ]


def test_a_schedule_is_told_in_words(settings: Settings) -> None:
    base = "source: {kind: postgres, dsn: '${CRM_DSN}'}\nstreams: {people: }\n"
    assert load(settings, f"{base}schedule: {{every: 15m}}\n", CRM_DSN=DSN).spec.schedule == "every 900 s"
    assert load(settings, base, CRM_DSN=DSN).spec.schedule is None
