"""Compares a staging table with the rows it should hold, by one join over all columns in the warehouse.

The rows are uploaded and copied into a temporary table of the staging table's types. Where they come from, and what is
done about differences, is told in the use cases.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress

import attrs
import pyarrow as pa

from adapters.warehouses.changerows import keys_of
from adapters.warehouses.snowflake import sql
from adapters.warehouses.snowflake.files import file_columns, showing, shown
from adapters.warehouses.snowflake.quarantine import waiting
from adapters.warehouses.snowflake.session import Session
from adapters.warehouses.snowflake.sessions import Sessions
from adapters.warehouses.snowflake.statement import Statement, columns, qualified, quote
from adapters.warehouses.snowflake.types import column_type, is_document
from adapters.warehouses.snowflake.uploading import Uploads
from pipeline.domain.canonical import key_texts
from pipeline.domain.errors import PipelineError
from pipeline.domain.loading import Target
from pipeline.domain.naming import PIPELINE
from pipeline.domain.schema import Column, StreamSchema
from pipeline.domain.tables import CURRENT, DELETED
from pipeline.ports.warehouse import Comparison

#: Kinds of differences in the order in which they are shown.
_KINDS = ("missing", "extra", "changed")
_KIND, _NUMBER = quote("_cdc_kind"), quote("_cdc_number")


@attrs.frozen
class _Tables:
    """Temporary tables: the rows wanted, and the keys that wait in quarantine (None: none do)."""

    wanted: str
    waiting: str | None


def compare(sessions: Sessions, target: Target, rows: Iterable[pa.Table], *, sample: int) -> Comparison:
    """Count the differences and name some keys."""
    with _prepared(sessions, target, rows) as (session, tables):
        compared = session.rows(Statement(count_compared(target, tables.wanted, waiting=tables.waiting)))[0][0]
        differing = find_differences(target, tables.wanted, waiting=tables.waiting)
        counts = dict(session.rows(Statement(f"SELECT {_KIND}, COUNT(*) FROM ({differing}) GROUP BY {_KIND}")))
        keys = _sample(session, target, differing, sample) if counts and target.schema.key else ()
    missing, extra, changed = (int(counts.get(kind, 0)) for kind in _KINDS)
    return Comparison(int(compared), missing, extra, changed, keys)


def differences(sessions: Sessions, target: Target, rows: Iterable[pa.Table]) -> tuple[pa.Table, pa.Table]:
    """Rows to mend, and keys of rows that should not be there."""
    schema = target.schema
    names = showing(file_columns(schema.arrow(), data=schema))
    with _prepared(sessions, target, rows) as (session, tables):
        differing = find_differences(target, tables.wanted, waiting=tables.waiting)
        query = f"SELECT {names} FROM ({differing}) WHERE {_KIND} {{}} 'extra'"
        mend, extra = (shown(session.query(Statement(query.format(sign))), schema.arrow()) for sign in ("<>", "="))
    return mend, extra.select(schema.key)


def find_differences(target: Target, wanted: str, *, waiting: str | None) -> str:
    """One row per difference: its kind, and the row as it should be, or for an extra one as it is."""
    schema = target.schema
    if schema.key:
        number, match = "1", sql.same_key(target, "w", "h")
    else:
        # without a key equal rows are told apart by counting them, so that multisets are compared
        kinds = ", ".join(_comparable(column) for column in schema.columns)
        number = f"ROW_NUMBER() OVER (PARTITION BY {kinds} ORDER BY NULL)"
        match = " AND ".join(f"EQUAL_NULL({_comparable(c, 'w')}, {_comparable(c, 'h')})" for c in schema.columns)
        match += f" AND w.{_NUMBER} = h.{_NUMBER}"
    values = ", ".join(f"IFF(w.{_NUMBER} IS NULL, h.{name}, w.{name}) AS {name}" for name in map(quote, schema.names))
    differ = "\n    OR ".join(f"{_comparable(c, 'w')} IS DISTINCT FROM {_comparable(c, 'h')}" for c in schema.columns)
    return f"""WITH wanted AS (
    SELECT {columns(schema.names, "t")}, {number} AS {_NUMBER} FROM {wanted} AS t{_not_waiting(target, waiting)}
), held AS (
    SELECT {columns(schema.names, "t")}, {number} AS {_NUMBER}
    FROM {sql.staging(target)} AS t{_not_waiting(target, waiting)}
    {"AND" if waiting else "WHERE"} t.{quote(CURRENT)} AND NOT t.{quote(DELETED)}
)
SELECT CASE WHEN h.{_NUMBER} IS NULL THEN 'missing' WHEN w.{_NUMBER} IS NULL THEN 'extra' ELSE 'changed' END AS {_KIND},
    {values}
FROM wanted AS w FULL OUTER JOIN held AS h ON {match}
WHERE h.{_NUMBER} IS NULL OR w.{_NUMBER} IS NULL
    OR {differ}"""


def count_compared(target: Target, wanted: str, *, waiting: str | None) -> str:
    """How many rows are compared."""
    return f"SELECT COUNT(*) FROM {wanted} AS t{_not_waiting(target, waiting)}"


def _not_waiting(target: Target, waiting: str | None) -> str:
    if waiting is None:
        return ""
    key = quote(target.schema.key[0])
    return f"\n    LEFT JOIN {waiting} AS k ON {sql.same_key(target, 't', 'k')} WHERE k.{key} IS NULL"


def _comparable(column: Column, alias: str = "t") -> str:
    """Documents are equal if they are the same document: the service writes each in one way only."""
    name = f"{alias}.{quote(column.name)}"
    return f"TO_JSON({name})" if is_document(column.type, json=column.json) else name


def _sample(session: Session, target: Target, differing: str, sample: int) -> tuple[str, ...]:
    key_schema = StreamSchema([target.schema.column(name) for name in target.schema.key])
    names = showing(file_columns(key_schema.arrow(), data=key_schema))
    order = f"ORDER BY {_KIND}, {columns(target.schema.key)} LIMIT {sample}"
    found = session.query(Statement(f"SELECT {names} FROM ({differing}) {order}"))
    return tuple(key_texts(shown(found, key_schema.arrow()), target.schema).to_pylist())


@contextmanager
def _prepared(sessions: Sessions, target: Target, rows: Iterable[pa.Table]) -> Iterator[tuple[Session, _Tables]]:
    """The session with its temporary tables filled; both are gone afterwards."""
    session, schema = sessions.get(), target.schema
    key_schema = StreamSchema([schema.column(name) for name in schema.key])
    keys = keys_of(sorted(waiting(session, target).keys), schema) if schema.key else None
    with Uploads(sessions) as uploads:
        made: list[str] = []
        try:
            wanted = _filled(session, uploads, made, schema, rows)
            held_back = (
                _filled(session, uploads, made, key_schema, [keys]) if keys is not None and keys.num_rows else None
            )
            yield session, _Tables(wanted, held_back)
        finally:
            for table in made:
                with suppress(PipelineError):
                    session.execute(Statement(f"DROP TABLE IF EXISTS {table}"))


def _filled(session: Session, uploads: Uploads, made: list[str], schema: StreamSchema, rows: Iterable[pa.Table]) -> str:
    layout = file_columns(schema.arrow(), data=schema)
    growing = uploads.growing(layout)
    for table in rows:
        growing.add(table.select(schema.names).cast(schema.arrow()))
    names = growing.finish()
    uploads.wait()
    made.append(qualified(PIPELINE, f"compare_{uuid.uuid4().hex}"))
    definitions = ", ".join(f"{quote(column.name)} {column_type(column)}" for column in schema.columns)
    session.execute(Statement(f"CREATE TEMPORARY TABLE {made[-1]} ({definitions})"))
    for statement in sql.copy_files(made[-1], layout, uploads.folder, names):
        session.execute(statement)
    return made[-1]
