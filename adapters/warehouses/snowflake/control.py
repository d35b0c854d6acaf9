"""The pipeline's own tables beside the checkpoints: stream states, migrations, copies and the audit of loads.

Which of them change together is told in ``load`` and ``warehouse``. Rows of loads are only ever inserted, so that
groups do not wait for each other; what is updated (states, marts) changes rarely.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

import attrs

from adapters.warehouses.schemarecord import encode_schema, readable_schema, recorded_state
from adapters.warehouses.snowflake import sql
from adapters.warehouses.snowflake.files import FORMAT, FORMAT_OPTIONS, STAGE
from adapters.warehouses.snowflake.ledger import TAKEN
from adapters.warehouses.snowflake.session import Session
from adapters.warehouses.snowflake.statement import Statement, columns, literal, qualified, quote, stored
from adapters.warehouses.snowflake.types import BOUND_INSTANT, INSTANT
from pipeline.domain.checkpoint import StreamState
from pipeline.domain.counts import StreamCounts
from pipeline.domain.errors import PipelineError
from pipeline.domain.loading import Target
from pipeline.domain.naming import PIPELINE, SCHEMAS
from pipeline.domain.stream import Mode

COUNTS = tuple(field.name for field in attrs.fields(StreamCounts))
_INTEGER = "NUMBER(38,0)"

#: Created by ``setup``. ``copies`` tells which loads copied a stream anew; ``loads`` has a row per stream and load, and
#: one without a stream for a load of none.
TABLES: dict[str, dict[str, str]] = {
    "intentions": {"group": "VARCHAR"},
    "streams": {
        "group": "VARCHAR",
        "stream": "VARCHAR",
        "table_name": "VARCHAR",
        "mode": "VARCHAR",
        "phase": "VARCHAR",
        "since": "VARCHAR",
        "schema_version": _INTEGER,
        "schema": "VARCHAR",
        "arrow_schema": "VARCHAR",
    },
    "migrations": {"table_name": "VARCHAR", "schema_version": _INTEGER, "change": "VARCHAR", "at": INSTANT},
    "copies": {"table_name": "VARCHAR", "load": _INTEGER, "at": INSTANT},
    "loads": {
        "group": "VARCHAR",
        "load": _INTEGER,
        "position": "VARCHAR",
        "at": INSTANT,
        "seconds": "FLOAT",
        "statement_count": _INTEGER,
        "stream": "VARCHAR",
        **dict.fromkeys(COUNTS, _INTEGER),
    },
    "transforms": {"group": "VARCHAR", "load": _INTEGER},
    "bookmarks": {"group": "VARCHAR", "stream": "VARCHAR", "name": "VARCHAR", "value": "VARCHAR", "load": _INTEGER},
}


def own(name: str) -> str:
    """One of the pipeline's own tables."""
    return qualified(PIPELINE, name)


def create(name: str) -> str:
    """The statement that creates one of ``TABLES``."""
    definitions = ", ".join(f"{quote(column)} {kind}" for column, kind in TABLES[name].items())
    return f"CREATE TABLE IF NOT EXISTS {own(name)} ({definitions})"


def create_missing(session: Session) -> None:
    """Create schemas and tables that are not there; what is there asks for no privilege to create it. Other processes
    may do the same at this moment.
    """
    there = {str(row["name"]) for row in session.named_rows(Statement("SHOW SCHEMAS IN DATABASE"))}
    for schema in SCHEMAS:
        if stored(schema) not in there:
            _create(session, f"CREATE SCHEMA IF NOT EXISTS {quote(schema)}")
    tables = session.named_rows(Statement(f"SHOW TABLES IN SCHEMA {quote(PIPELINE)}"))
    found = {str(row["name"]) for row in tables}
    for name in TABLES:
        if stored(name) not in found:
            _create(session, create(name))
    _create(session, f"CREATE STAGE IF NOT EXISTS {STAGE.removeprefix('@')}")
    _create(session, f"CREATE FILE FORMAT IF NOT EXISTS {FORMAT} {FORMAT_OPTIONS}")


def _create(session: Session, text: str) -> None:
    """Of two that make one thing at the same moment the service may refuse the second in spite of IF NOT EXISTS; once
    more, it finds it there.
    """
    try:
        session.execute(Statement(text))
    except PipelineError as error:
        if error.facts.get("errno") != TAKEN:
            raise
        session.execute(Statement(text))


def read_states(session: Session, group: str | None = None) -> dict[tuple[str, str], StreamState]:
    """The recorded states, of a group or of all, by group and stream.

    Nothing is bound in what every run reads, so that the result cache can answer where nothing changed (P12).
    """
    names = ("group", "stream", "table_name", "mode", "phase", "since", "schema_version", "arrow_schema")
    where = f" WHERE {is_of(group)}" if group is not None else ""
    text = f"SELECT {columns(names)} FROM {own('streams')}{where} ORDER BY {columns(('group', 'stream'))}"
    rows = session.rows(Statement(text))
    return {(row[0], row[1]): recorded_state(*row[1:]) for row in rows}


def write_states(group: str, states: Iterable[StreamState]) -> Statement:
    """Record states in place of those before, all in one statement."""
    rows = [
        (
            group,
            state.stream,
            state.table,
            state.mode.value,
            state.phase.value,
            state.since.encode(),
            state.schema_version,
            readable_schema(state.schema),
            encode_schema(state.schema),
        )
        for state in states
    ]
    names = tuple(TABLES["streams"])
    first = ", ".join(f"? AS {quote(name)}" for name in names)
    others = f"\n    UNION ALL SELECT {', '.join('?' * len(names))}" * (len(rows) - 1)
    changing = ((name, f"s.{quote(name)}") for name in names[2:])
    return Statement(
        f"""MERGE INTO {own("streams")} AS t
USING (
    SELECT {first}{others}
) AS s
ON t.{quote("group")} = s.{quote("group")} AND t.{quote("stream")} = s.{quote("stream")}
WHEN MATCHED THEN UPDATE SET {sql.assignments(changing)}
WHEN NOT MATCHED THEN {sql.insertion((name, f"s.{quote(name)}") for name in names)}""",
        [value for row in rows for value in row],
    )


def set_mode(group: str, stream: str, mode: Mode) -> Statement:
    """Record the mode that a staging table was built in."""
    return Statement(
        f"UPDATE {own('streams')} SET {quote('mode')} = ? WHERE {quote('group')} = ? AND {quote('stream')} = ?",
        [mode.value, group, stream],
    )


def note_copy(table: str, load: int, at: datetime) -> Statement:
    """Record that a load copied a stream anew."""
    text = f"INSERT INTO {own('copies')} ({columns(TABLES['copies'])}) VALUES (?, ?, {BOUND_INSTANT})"
    return Statement(text, [table, load, sql.instant(at)])


def read_copies(session: Session, table: str) -> list[tuple[int, datetime]]:
    """The loads that copied a stream anew, in order."""
    text = f"""SELECT {columns(("load", "at"))} FROM {own("copies")}
WHERE {quote("table_name")} = ? ORDER BY {quote("load")}"""
    return [(int(load), utc(at)) for load, at in session.rows(Statement(text, [table]))]


def note_migration(target: Target, phrase: str) -> Statement:
    """Record a step of a migration, once for each version."""
    table, names = own("migrations"), columns(TABLES["migrations"])
    step = [target.table, target.schema_version, phrase]
    return Statement(
        f"""INSERT INTO {table} ({names})
SELECT ?, ?, ?, CURRENT_TIMESTAMP()::{INSTANT} WHERE NOT EXISTS (
    SELECT 1 FROM {table} WHERE {quote("table_name")} = ? AND {quote("schema_version")} = ? AND {quote("change")} = ?
)""",
        [*step, *step],
    )


def read_transformed(session: Session, group: str) -> int:
    """The load that marts were built up to, -1 if never."""
    text = f"SELECT COALESCE(MAX({quote('load')}), -1) FROM {own('transforms')} WHERE {is_of(group)}"
    return int(session.rows(Statement(text))[0][0])


def write_transformed(group: str, load: int) -> Statement:
    """Record the load that marts were built up to."""
    return Statement(
        f"""MERGE INTO {own("transforms")} AS t
USING (SELECT ? AS {quote("group")}, ? AS {quote("load")}) AS s ON t.{quote("group")} = s.{quote("group")}
WHEN MATCHED THEN UPDATE SET {quote("load")} = s.{quote("load")}
WHEN NOT MATCHED THEN INSERT ({columns(TABLES["transforms"])}) VALUES (s.{quote("group")}, s.{quote("load")})""",
        [group, load],
    )


def is_intended(session: Session, group: str) -> bool:
    """Whether ``intend`` was recorded."""
    return bool(session.rows(Statement(f"SELECT 1 FROM {own('intentions')} WHERE {is_of(group)}")))


def intend(group: str) -> Statement:
    """Record that a group is about to be begun, once."""
    return Statement(
        f"""INSERT INTO {own("intentions")} ({quote("group")})
SELECT ? WHERE NOT EXISTS (SELECT 1 FROM {own("intentions")} WHERE {quote("group")} = ?)""",
        [group, group],
    )


def is_of(group: str) -> str:
    """The condition that a row is a group's."""
    return f"{quote('group')} = {literal(group)}"


def utc(at: datetime) -> datetime:
    """An instant as the service gives it, in UTC."""
    return at.astimezone(UTC)
