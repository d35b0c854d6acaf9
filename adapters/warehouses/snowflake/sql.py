"""The tables of a stream and the statements that all modes share, built without a connection.

What each mode does to its staging table is in ``modes``; names and literals are ``statement``'s.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

import pyarrow as pa

from adapters.warehouses.snowflake.files import FORMAT, STAGE, FileColumn, file_columns, from_file, reading
from adapters.warehouses.snowflake.statement import NAMES, Statement, columns, literal, qualified, quote
from adapters.warehouses.snowflake.types import column_type, sql_type
from pipeline.domain import naming
from pipeline.domain.change import COMMIT_AT, COMMIT_AT_TYPE, OLD_KEY, OP, SEQUENCE
from pipeline.domain.loading import Target
from pipeline.domain.position import SEQUENCE_TYPE
from pipeline.domain.schema import StreamSchema
from pipeline.domain.tables import (
    CURRENT,
    DELETED,
    LOAD,
    LOADED_AT,
    QUARANTINE_TABLE_SCHEMA,
    STAGING_METADATA,
    VALID_FROM,
    VALID_FROM_AT,
    VALID_TO,
    VALID_TO_AT,
    changelog_schema,
)

METADATA = tuple(STAGING_METADATA.names)

#: What a state row tells beside its data.
STATE_METADATA = (OP, SEQUENCE, COMMIT_AT, LOAD, LOADED_AT)

IS_DELETE = f"{quote(OP)} = 'delete'"

#: Names in a state file: whether a column is to be taken from the base row, and that row's key, each by number.
_TAKEN = "_cdc_taken_{}"
_BASE = "_cdc_base_{}"

#: COPY takes so many names at most.
FILES_AT_A_TIME = 1000


staging, changelog, quarantine, same_key = NAMES.staging, NAMES.changelog, NAMES.quarantine, NAMES.same_key


def work_table(target: Target) -> str:
    """The table that a staging table is built in before it is shown."""
    return qualified(naming.PIPELINE, f"rebuild__{target.table}")


def instant(at: datetime) -> str:
    """An instant as it is bound: a text that ``CAST(? AS TIMESTAMP_TZ(6))`` reads."""
    return at.isoformat(timespec="microseconds")


def create_staging(target: Target, table: str, *, replace: bool = False) -> str:
    """The staging table of the modes that have one, or under another name the table that it is built in."""
    metadata = [f"{quote(field.name)} {sql_type(field.type)}" for field in STAGING_METADATA]
    definitions = ", ".join(_data_definitions(target.schema) + metadata)
    return f"CREATE {'OR REPLACE TABLE' if replace else 'TABLE IF NOT EXISTS'} {table} ({definitions})"


def create_changelog(target: Target, *, transient: bool = False) -> str:
    """The changelog; an old key is kept as the canonical JSON text that quarantine uses for keys."""
    definitions = _data_definitions(target.schema)
    for field in list(changelog_schema(target.schema))[len(definitions) :]:
        kind = "VARCHAR" if field.name == OLD_KEY else sql_type(field.type)
        definitions.append(f"{quote(field.name)} {kind}")
    word = "TRANSIENT TABLE" if transient else "TABLE"
    return f"CREATE {word} IF NOT EXISTS {changelog(target)} ({', '.join(definitions)})"


def create_quarantine(target: Target) -> str:
    """The quarantine table."""
    definitions = [f"{quote(field.name)} {sql_type(field.type)}" for field in QUARANTINE_TABLE_SCHEMA]
    return f"CREATE TABLE IF NOT EXISTS {quarantine(target)} ({', '.join(definitions)})"


def create_view(target: Target) -> str:
    """In append mode the staging table is a view over the changelog; made anew, it keeps what readers were granted."""
    names = columns([*target.schema.names, *METADATA])
    return f"""CREATE OR REPLACE VIEW {staging(target)} ({names}) COPY GRANTS AS
SELECT {columns([*target.schema.names, *STATE_METADATA])},
    {quote(OP)} IN ('delete', 'truncate'), {quote(SEQUENCE)}, NULL::{sql_type(SEQUENCE_TYPE)},
    {quote(COMMIT_AT)}, NULL::{sql_type(COMMIT_AT_TYPE)}, TRUE
FROM {changelog(target)}"""


def changelog_columns(schema: StreamSchema) -> tuple[FileColumn, ...]:
    """The columns of a file of changelog rows."""
    found = file_columns(changelog_schema(schema), data=schema)
    return tuple(FileColumn(OLD_KEY, pa.string()) if column.name == OLD_KEY else column for column in found)


def state_columns(schema: StreamSchema, taken: Sequence[str] = ()) -> tuple[FileColumn, ...]:
    """The columns of a file of states, of which some rows take the columns ``taken`` from a base row."""
    metadata = [FileColumn(name, STAGING_METADATA.field(name).type) for name in STATE_METADATA]
    found = [*file_columns(schema.arrow(), data=schema), *metadata]
    if taken:
        found += [FileColumn(_TAKEN.format(number), pa.bool_()) for number in range(len(taken))]
        found += [FileColumn(_BASE.format(number), schema.column(name).type) for number, name in enumerate(schema.key)]
    return tuple(found)


def copy_files(table: str, layout: Sequence[FileColumn], folder: str, files: Sequence[str]) -> tuple[Statement, ...]:
    """Append staged files to a table: one statement for each thousand of them."""
    return tuple(
        Statement(
            f"""COPY INTO {table} ({columns(column.name for column in layout)})
FROM (SELECT {", ".join(reading(layout))}
FROM {STAGE}/{folder}/)
FILES = ({", ".join(map(literal, files[start : start + FILES_AT_A_TIME]))})
FILE_FORMAT = (FORMAT_NAME = '{FORMAT}') ON_ERROR = ABORT_STATEMENT PURGE = FALSE"""
        )
        for start in range(0, len(files), FILES_AT_A_TIME)
    )


def state_of_file(target: Target, table: str, path: str, *, taken: Sequence[str] = ()) -> str:
    """A SELECT of the states in a staged file; columns that a change left unchanged come from the base rows in
    ``table``, as it was before the statement.
    """
    rows = from_file(state_columns(target.schema, taken), path)
    if not taken:
        return rows
    flags = {name: f"s.{quote(_TAKEN.format(number))}" for number, name in enumerate(taken)}
    values = [
        f"IFF({flags[name]}, b.{quote(name)}, s.{quote(name)}) AS {quote(name)}"
        if name in flags
        else f"s.{quote(name)}"
        for name in target.schema.names
    ]
    base = " AND ".join(
        f"b.{quote(name)} = s.{quote(_BASE.format(number))}" for number, name in enumerate(target.schema.key)
    )
    return f"""SELECT {", ".join(values)}, {columns(STATE_METADATA, "s")}
FROM ({rows}) AS s
LEFT JOIN {table} AS b ON {base} AND b.{quote(CURRENT)}"""


def state_of_copy(target: Target, load: int) -> str:
    """A SELECT of what a copy holds: its rows of the changelog are states as they are. ``load`` is the copy's."""
    return f"""SELECT {columns([*target.schema.names, *STATE_METADATA])}
FROM {changelog(target)} WHERE {quote(LOAD)} = {load}"""


def derived(*, deleted: str = "FALSE", alias: str = "") -> dict[str, str]:
    """What the rest of the metadata is where there is one row per key, the columns it comes from by ``alias``."""
    prefix = f"{alias}." if alias else ""
    return {
        DELETED: deleted,
        VALID_FROM: f"{prefix}{quote(SEQUENCE)}",
        VALID_TO: "NULL",
        VALID_FROM_AT: f"{prefix}{quote(COMMIT_AT)}",
        VALID_TO_AT: "NULL",
        CURRENT: "TRUE",
    }


def assignments(values: Iterable[tuple[str, str]]) -> str:
    """The SET of an UPDATE or MERGE."""
    return ", ".join(f"{quote(name)} = {value}" for name, value in values)


def insertion(values: Iterable[tuple[str, str]]) -> str:
    """The INSERT of a MERGE."""
    pairs = list(values)
    return f"INSERT ({columns(name for name, _ in pairs)})\n    VALUES ({', '.join(value for _, value in pairs)})"


def _data_definitions(schema: StreamSchema) -> list[str]:
    return [f"{quote(column.name)} {column_type(column)}" for column in schema.columns]
