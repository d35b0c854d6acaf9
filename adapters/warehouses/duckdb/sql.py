"""Names, quoting and the statements that all modes share, built without a connection.

What each mode does to its staging table is in ``modes``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import attrs
import pyarrow as pa

from adapters.warehouses.duckdb.types import column_type, sql_type
from adapters.warehouses.names import Names
from pipeline.domain.change import OLD_KEY, OP, OPERATION_LABELS, UNCHANGED
from pipeline.domain.loading import BASE_KEY, Target
from pipeline.domain.schema import StreamSchema
from pipeline.domain.stream import Mode
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

#: What is worked out from the state rows that came in.
RESOLVED = '"incoming_resolved"'
FRESH = '"incoming_fresh"'

METADATA = tuple(STAGING_METADATA.names)

#: What follows from other columns where there is one row per key or change, and no tombstone.
DERIVED = {
    DELETED: "false",
    VALID_FROM: '"_cdc_sequence"',
    VALID_TO: "CAST(NULL AS DECIMAL(38,0))",
    VALID_FROM_AT: '"_cdc_commit_at"',
    VALID_TO_AT: "CAST(NULL AS TIMESTAMPTZ)",
    CURRENT: "true",
}

_OPERATION_TYPE = f"ENUM ({', '.join(repr(label) for label in OPERATION_LABELS.to_pylist())})"


@attrs.frozen
class Statement:
    """A SQL text with its named values."""

    text: str
    values: dict[str, object] = attrs.field(factory=dict)


def quote(name: str) -> str:
    """A name as an identifier, whatever characters it has."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """A name as a text literal; for names only, values are bound."""
    return "'" + text.replace("'", "''") + "'"


NAMES = Names(quote)
qualified, columns, same_key = NAMES.qualified, NAMES.columns, NAMES.same_key
staging, changelog, quarantine = NAMES.staging, NAMES.changelog, NAMES.quarantine


def stored_metadata(target: Target) -> tuple[str, ...]:
    """The metadata columns that the target's staging table stores; mirror mode works the others out when it is read."""
    return tuple(name for name in METADATA if target.mode is not Mode.MIRROR or name not in DERIVED)


def create_staging(target: Target) -> str:
    """The staging table of the modes that have one."""
    stored = stored_metadata(target)
    metadata = [
        _definition(field) + ("" if field.name in stored else f" GENERATED ALWAYS AS ({DERIVED[field.name]}) VIRTUAL")
        for field in STAGING_METADATA
    ]
    return f"CREATE TABLE {staging(target)} ({', '.join(_data_definitions(target.schema) + metadata)})"


def create_changelog(target: Target) -> str:
    """The changelog; an old key is kept as the JSON text that quarantine uses for keys."""
    definitions = _data_definitions(target.schema)
    for field in list(changelog_schema(target.schema))[len(definitions) :]:
        definitions.append(f"{quote(OLD_KEY)} JSON" if field.name == OLD_KEY else _definition(field))
    return f"CREATE TABLE {changelog(target)} ({', '.join(definitions)})"


def create_quarantine(target: Target) -> str:
    """The quarantine table."""
    definitions = [f"{quote(field.name)} {sql_type(field.type)}" for field in QUARANTINE_TABLE_SCHEMA]
    return f"CREATE TABLE {quarantine(target)} ({', '.join(definitions)})"


def create_view(target: Target) -> str:
    """In append mode the staging table is a view over the changelog."""
    derived = DERIVED | {DELETED: "\"_cdc_op\" IN ('delete', 'truncate')"}
    metadata = ",\n    ".join(f"{text} AS {quote(name)}" for name, text in derived.items())
    return f"""CREATE OR REPLACE VIEW {staging(target)} AS
SELECT {columns(target.schema.names)}, "_cdc_op", "_cdc_sequence", "_cdc_commit_at", "_cdc_load", "_cdc_loaded_at",
    {metadata}
FROM {changelog(target)}"""


def with_constants(rows: str, constants: Mapping[str, str]) -> str:
    """Registered rows as a relation, with columns that are the same literal in every row."""
    added = "".join(f", {text} AS {quote(column)}" for column, text in constants.items())
    return f"(SELECT *{added} FROM {quote(rows)})" if constants else quote(rows)


def append_changes(target: Target, source: str) -> str:
    """Append changes, which have the changelog's columns."""
    names = columns(changelog_schema(target.schema).names)
    return f"INSERT INTO {changelog(target)} ({names})\nSELECT {names} FROM {source}"


def insert_state(target: Target, source: str, *, where: str = "") -> str:
    """Insert state rows as current rows of the staging table, deletes among them as tombstones."""
    derived = DERIVED | {DELETED: "\"_cdc_op\" = 'delete'"}
    stored = stored_metadata(target)
    names = columns([*target.schema.names, *stored])
    values = ", ".join(derived.get(name, quote(name)) for name in stored)
    condition = f"\nWHERE {where}" if where else ""
    return f"""INSERT INTO {staging(target)} ({names})
SELECT {columns(target.schema.names)}, {values}
FROM {source}{condition}"""


def delete_matched(target: Target, source: str) -> str:
    """Delete the staging rows whose keys the state rows have."""
    return f"DELETE FROM {staging(target)} AS t USING {source} AS s\nWHERE {same_key(target, 't', 's')}"


def resolve(target: Target, source: str, unchanged: Iterable[str]) -> str:
    """The state with the columns that a change left unchanged taken from its base row, before anything is written."""
    taken = frozenset(unchanged)
    values = [
        f"CASE WHEN list_contains(s.{quote(UNCHANGED)}, {literal(name)}) THEN b.{quote(name)} "
        f"ELSE s.{quote(name)} END AS {quote(name)}"
        if name in taken
        else f"s.{quote(name)}"
        for name in target.schema.names
    ]
    keys = " AND ".join(f"b.{quote(name)} = s.{quote(BASE_KEY)}.{quote(name)}" for name in target.schema.key)
    return f"""CREATE OR REPLACE TEMP TABLE {RESOLVED} AS
SELECT {", ".join(values)}, {columns(STATE_METADATA, "s")}
FROM {source} AS s LEFT JOIN {staging(target)} AS b ON {keys} AND b."_cdc_current\""""


#: What a state row tells beside its data once it is resolved.
STATE_METADATA = (OP, "_cdc_sequence", "_cdc_commit_at", LOAD, LOADED_AT)


def newer_exists(target: Target, lowest: int) -> Statement:
    """Whether any stored row is as new as the oldest state row; the zone maps make this cheap."""
    text = f"""SELECT 1 FROM {staging(target)}
WHERE "_cdc_sequence" >= $lowest OR "_cdc_valid_to" >= $lowest LIMIT 1"""
    return Statement(text, {"lowest": lowest})


def keep_newer(target: Target, source: str) -> str:
    """The state rows whose key has no stored row that is as new (P4)."""
    return f"""CREATE OR REPLACE TEMP TABLE {FRESH} AS
SELECT * FROM {source} AS s
WHERE NOT EXISTS (
    SELECT 1 FROM {staging(target)} AS t
    WHERE {same_key(target, "t", "s")}
        AND greatest(t."_cdc_sequence", t."_cdc_valid_to") >= s."_cdc_sequence"
)"""


def is_filled(target: Target) -> str:
    """One row if the staging table has any."""
    return f"SELECT 1 FROM {staging(target)} LIMIT 1"


def _definition(field: pa.Field) -> str:
    kind = _OPERATION_TYPE if field.name == OP else sql_type(field.type)
    return f"{quote(field.name)} {kind}"


def _data_definitions(schema: StreamSchema) -> list[str]:
    return [f"{quote(column.name)} {column_type(column)}" for column in schema.columns]
