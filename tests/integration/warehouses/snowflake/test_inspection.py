"""What ``doctor`` finds in an account, by the real connector, without anything that would wake a warehouse."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from adapters.warehouses.snowflake import grants
from adapters.warehouses.snowflake.inspection import inspect
from adapters.warehouses.snowflake.options import parse
from pipeline.domain.finding import Finding, Level
from tests.support.emulator import Emulator
from tests.support.snowflake_logins import WELCOME, Logins, refusal, rows

Replies = dict[str, Mapping[str, object]]

WHO = (
    "SELECT CURRENT_USER() AS ME, CURRENT_ROLE() AS ROLE, CURRENT_WAREHOUSE() AS WAREHOUSE, "
    "CURRENT_VERSION() AS VERSION, SYSDATE() AS NOW"
)
GRANTS = 'SHOW GRANTS TO ROLE "LOADER"'
WAREHOUSES = "SHOW WAREHOUSES LIKE 'LOADING'"
#: Statements that the service answers without a warehouse: https://docs.snowflake.com/en/sql-reference/sql/show
WAKES_NOTHING = re.compile(r"SHOW |LIST @|SELECT CURRENT_USER\(\)")


def who(role: str = "LOADER", warehouse: str | None = "LOADING", *, off: timedelta = timedelta()) -> dict[str, object]:
    now = datetime.now(UTC) + off
    return rows({"ME": "PIPELINE", "ROLE": role, "WAREHOUSE": warehouse, "VERSION": "9.40.1", "NOW": now})


def warehouse(**changed: str | None) -> dict[str, object]:
    row = {"name": "LOADING", "state": "SUSPENDED", "size": "X-Small", "auto_suspend": "60", "auto_resume": "true"}
    return rows({"name": "loading", **{k: v for k, v in row.items() if k != "name"}}, {**row, **changed})


def granted(*held: tuple[str, str, str]) -> dict[str, object]:
    return rows(*({"privilege": privilege, "granted_on": kind, "name": name} for privilege, kind, name in held))


def account(**changed: Mapping[str, object]) -> Replies:
    """An account where everything is in place and nothing was loaded yet; ``changed`` by the words below."""
    good: dict[str, Mapping[str, object]] = {
        "who": who(),
        "databases": rows({"name": "RAW"}),
        "schemas": rows({"name": "PUBLIC"}),
        "warehouses": warehouse(),
        "grants": granted(
            ("USAGE", "WAREHOUSE", "LOADING"), ("USAGE", "DATABASE", "RAW"), ("CREATE SCHEMA", "DATABASE", "RAW")
        ),
    }
    texts = {
        "who": WHO,
        "databases": "SHOW DATABASES LIKE 'RAW'",
        "schemas": 'SHOW SCHEMAS IN DATABASE "RAW"',
        "warehouses": WAREHOUSES,
        "grants": GRANTS,
        "public": 'SHOW GRANTS TO ROLE "PUBLIC"',
        "inherited": "SHOW GRANTS TO ROLE WRITER",
        "stages": 'SHOW STAGES IN DATABASE "RAW"',
        "files": 'LIST @"RAW"."PIPELINE"."LOADS"',
        "tables": 'SHOW TABLES IN SCHEMA "RAW"."PIPELINE"',
    }
    return {texts[word]: answer for word, answer in {**good, **changed}.items()}


def found(replies: Replies, *, answer: Mapping[str, object] = WELCOME, **given: object) -> list[Finding]:
    """What is found by somebody who signs in with a token."""
    with Logins(answer, replies=replies) as logins:
        place = {"account": "acme", "database": "raw", "host": "127.0.0.1", "port": logins.port, "protocol": "http"}
        sign_in = {"authenticator": "oauth", "token": "t"}
        findings = inspect(parse("warehouse", {**place, **sign_in, **given}))
    assert [text for text in logins.statements if not WAKES_NOTHING.match(text)] == []
    return list(findings)


def told(findings: list[Finding], check: str) -> list[tuple[Level, str, str]]:
    return [(finding.level, finding.what, finding.where) for finding in findings if finding.check == check]


def test_an_account_where_everything_is_in_place() -> None:
    where = "snowflake acme/raw"
    assert found(account()) == [
        Finding(Level.OK, "snowflake_signin", "signed in as PIPELINE, Snowflake 9.40.1", where=where),
        Finding(Level.OK, "snowflake_role", "the role is LOADER", where=where),
        Finding(
            Level.OK,
            "snowflake_warehouse",
            "X-Small, suspended, resumes by itself, suspends after 60 s",
            where="warehouse LOADING",
        ),
        Finding(
            Level.INFO,
            "snowflake_database",
            "the schemas STAGING, CHANGELOG, QUARANTINE, PIPELINE will be created",
            where="database RAW",
        ),
        Finding(Level.OK, "snowflake_grants", "LOADER may do all that loading needs", where=where),
    ]


def test_a_refused_sign_in_is_one_finding_with_what_mends_it() -> None:
    (finding,) = found({}, answer=refusal(390422))
    assert (finding.level, finding.check, finding.unreachable) == (Level.ERROR, "snowflake_signin", False)
    assert finding.what == "the network policy does not let this address in (DatabaseError 390422 08001)"
    assert finding.hint


def test_a_password_is_warned_of() -> None:
    findings = found(account(), authenticator="snowflake", user="u", password="p", token=None)
    assert [finding.level for finding in findings if finding.check == "snowflake_password"] == [Level.WARNING]


def test_a_connection_that_is_not_encrypted_is_warned_of_unless_it_stays_on_this_machine() -> None:
    assert told(found(account()), "snowflake_tls") == []
    findings = found(account(), host="emulator.invalid", retry_s=1)
    assert [(finding.check, finding.level, finding.unreachable) for finding in findings] == [
        ("snowflake_tls", Level.WARNING, False),
        ("snowflake_signin", Level.ERROR, True),
    ]


@pytest.mark.parametrize("off_s", [-90, 90])
def test_a_clock_that_is_off_is_warned_of(off_s: int) -> None:
    findings = found(account(who=who(off=timedelta(seconds=off_s))))
    ((level, what, _),) = told(findings, "snowflake_clock")
    assert level is Level.WARNING
    assert re.fullmatch(r"this machine's clock and the account's differ by (89|90|91) s", what)


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        (
            {"auto_suspend": "600"},
            [
                (Level.OK, "snowflake_warehouse", "X-Small, suspended, resumes by itself, suspends after 600 s"),
                (Level.INFO, "snowflake_auto_suspend", "after its last statement 600 s are billed"),
            ],
        ),
        (
            {"auto_suspend": None, "size": "Large", "state": "STARTED"},
            [
                (Level.OK, "snowflake_warehouse", "Large, started, resumes by itself, never suspends"),
                (Level.WARNING, "snowflake_auto_suspend", "it is billed day and night"),
            ],
        ),
        (
            {"auto_resume": "false"},
            [
                (Level.OK, "snowflake_warehouse", "X-Small, suspended, does not resume by itself, suspends after 60 s"),
                (Level.ERROR, "snowflake_auto_resume", "somebody has to resume it by hand"),
            ],
        ),
        (
            {"auto_resume": "false", "state": "STARTED"},
            [
                (Level.OK, "snowflake_warehouse", "X-Small, started, does not resume by itself, suspends after 60 s"),
                (Level.WARNING, "snowflake_auto_resume", "somebody has to resume it by hand"),
            ],
        ),
        (
            {"name": "LOADINGX"},
            [
                (
                    Level.ERROR,
                    "snowflake_warehouse",
                    "the warehouse does not exist, or the role may not use it",
                )
            ],
        ),
    ],
)
def test_the_warehouse_is_told_with_what_it_costs(
    changed: dict[str, str | None], expected: list[tuple[Level, str, str]]
) -> None:
    findings = found(account(warehouses=warehouse(**changed)))
    about = [finding for finding in findings if finding.where == "warehouse LOADING"]
    assert [(finding.level, finding.check, finding.what) for finding in about] == expected
    assert all(finding.hint for finding in about[1:])


def test_a_session_without_warehouse_and_role_is_an_error() -> None:
    findings = found(account(who=who(role="", warehouse=None)))
    where = "snowflake acme/raw"
    assert told(findings, "snowflake_warehouse") == [(Level.ERROR, "no warehouse is named", where)]
    assert told(findings, "snowflake_role") == [(Level.ERROR, "the session has no role", where)]


def test_a_role_that_may_do_everything_is_warned_of_with_a_lesser_one() -> None:
    findings = found(account(who=who(role="ACCOUNTADMIN")))
    (finding,) = [finding for finding in findings if finding.check == "snowflake_role"]
    assert finding.level is Level.WARNING
    assert 'CREATE ROLE IF NOT EXISTS "LOADER";' in finding.hint


def test_a_database_that_is_not_there_is_an_error() -> None:
    findings = found(account(databases=rows({"name": "RAW_2"})))
    assert told(findings, "snowflake_database") == [
        (Level.ERROR, "the database does not exist, or the role may not see it", "database RAW")
    ]


def test_what_is_missing_is_told_with_its_grant_and_the_whole_script() -> None:
    replies = account(grants=granted(("USAGE", "DATABASE", "RAW")), schemas=rows({"name": "PIPELINE"}))
    about = [finding for finding in found(replies) if finding.check == "snowflake_grants"]
    assert [(finding.level, finding.what, finding.where, finding.hint) for finding in about[:-1]] == [
        (
            Level.ERROR,
            f"LOADER lacks {privilege}",
            f"{kind} {name}",
            f'GRANT {privilege} ON {kind.upper()} {identifier} TO ROLE "LOADER";',
        )
        for privilege, kind, name, identifier in [
            ("USAGE", "warehouse", "LOADING", '"LOADING"'),
            ("CREATE SCHEMA", "database", "RAW", '"RAW"'),
            ("USAGE", "schema", "RAW.PIPELINE", '"RAW"."PIPELINE"'),
            ("CREATE TABLE", "schema", "RAW.PIPELINE", '"RAW"."PIPELINE"'),
            ("CREATE STAGE", "schema", "RAW.PIPELINE", '"RAW"."PIPELINE"'),
            ("CREATE FILE FORMAT", "schema", "RAW.PIPELINE", '"RAW"."PIPELINE"'),
        ]
    ]
    place = grants.Place("LOADER", "PIPELINE", "LOADING", "RAW", frozenset({"PIPELINE"}))
    assert about[-1].hint == f"As somebody who may grant:\n{grants.script(place)}"


def test_privileges_of_granted_roles_and_of_everybody_count() -> None:
    replies = account(
        grants=granted(("USAGE", "ROLE", "WRITER")),
        inherited=granted(("CREATE SCHEMA", "DATABASE", "RAW"), ("USAGE", "DATABASE", '"RAW"')),
        public=granted(("USAGE", "WAREHOUSE", "LOADING")),
    )
    assert told(found(replies), "snowflake_grants") == [
        (Level.OK, "LOADER may do all that loading needs", "snowflake acme/raw")
    ]


def test_grants_that_may_not_be_seen_are_no_error() -> None:
    ((level, what, _),) = told(found(account(grants=refusal(3001))), "snowflake_grants")
    assert (level, what) == (Level.INFO, "the role may not see all grants, so they were not checked")


def test_tables_of_another_role_and_old_files_are_told() -> None:
    def at(age: timedelta) -> str:
        return format_datetime(datetime.now(UTC) - age, usegmt=True)

    schemas = rows(*({"name": schema} for schema in grants.SCHEMAS))
    replies = account(
        schemas=schemas,
        tables=rows({"name": "A", "owner": "LOADER"}, {"name": "B", "owner": "SYSADMIN"}),
        stages=rows({"name": "OTHER", "schema_name": "PUBLIC"}, {"name": "LOADS", "schema_name": "PIPELINE"}),
        files=rows(
            {"name": "loads/1", "size": "1500000", "last_modified": at(timedelta(days=2))},
            {"name": "loads/2", "size": "9000000", "last_modified": at(timedelta(hours=1))},
        ),
    )
    findings = found(replies)
    assert told(findings, "snowflake_database") == [(Level.OK, "all schemas are there", "database RAW")]
    assert told(findings, "snowflake_owner") == [
        (
            Level.WARNING,
            "tables belong to SYSADMIN: LOADER cannot alter them unless it has that role",
            "schema RAW.PIPELINE",
        )
    ]
    assert told(findings, "snowflake_stage") == [
        (Level.INFO, "1 files (1.5 MB) are left from interrupted runs", 'stage @"RAW"."PIPELINE"."LOADS"')
    ]


def test_the_emulator_is_looked_at_like_an_account() -> None:
    with Emulator() as emulator:
        options = parse("warehouse", emulator.options(emulator.new_database()))
        findings = inspect(options)
    assert [(finding.level, finding.check) for finding in findings] == [
        (Level.WARNING, "snowflake_password"),
        (Level.OK, "snowflake_signin"),
        (Level.OK, "snowflake_role"),
        (Level.OK, "snowflake_warehouse"),
        (Level.INFO, "snowflake_auto_suspend"),
        (Level.INFO, "snowflake_database"),
        (Level.INFO, "snowflake_grants"),
    ]
