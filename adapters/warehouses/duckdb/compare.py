"""Compares a staging table with the rows it should hold, by one join over all columns.

Where those rows come from, and what is done about differences, is told in the use cases.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb
import pyarrow as pa

from adapters.warehouses.changerows import keys_of
from adapters.warehouses.duckdb import sql
from adapters.warehouses.duckdb.connection import first_row
from adapters.warehouses.duckdb.quarantine import waiting
from pipeline.domain.canonical import key_texts
from pipeline.domain.loading import Target
from pipeline.domain.schema import StreamSchema
from pipeline.ports.warehouse import Comparison

#: Kinds of differences in the order in which they are shown.
_KINDS = ("missing", "extra", "changed")


@contextmanager
def spooled(rows: Iterable[pa.Table], schema: StreamSchema) -> Iterator[pa.Table]:
    """The rows as one table that lies on disk, read before the warehouse's file is opened (P11)."""
    with tempfile.TemporaryDirectory(prefix="compare-") as folder:
        path = Path(folder) / "rows.arrow"
        with pa.ipc.new_file(str(path), schema.arrow()) as writer:
            for table in rows:
                writer.write_table(table.select(schema.names).cast(schema.arrow()))
        with pa.memory_map(str(path)) as source:
            yield pa.ipc.open_file(source).read_all()


def compare(connection: duckdb.DuckDBPyConnection, target: Target, wanted: pa.Table, *, sample: int) -> Comparison:
    """Count what differs, with a sample of keys."""
    compared_count = _collect(connection, target, wanted)
    counts = dict(connection.execute('SELECT "_cdc_kind", count(*) FROM differing GROUP BY ALL').fetchall())
    names = sql.columns(target.schema.names)
    query = f"""SELECT {names} FROM differing
ORDER BY list_position($kinds, "_cdc_kind"), {names} LIMIT $sample"""
    shown = connection.sql(query, params={"kinds": list(_KINDS), "sample": sample}).to_arrow_table()
    texts = key_texts(shown.cast(target.schema.arrow()), target.schema).to_pylist()
    missing, extra, changed = (int(counts.get(kind, 0)) for kind in _KINDS)
    return Comparison(compared_count, missing, extra, changed, tuple(texts))


def differences(connection: duckdb.DuckDBPyConnection, target: Target, wanted: pa.Table) -> tuple[pa.Table, pa.Table]:
    """The rows that are missing or changed, as they should be, and the keys of those that should not exist."""
    _collect(connection, target, wanted)
    schema = target.schema
    names = sql.columns(schema.names)
    mend = connection.sql(f"SELECT {names} FROM differing WHERE _cdc_kind <> 'extra'").to_arrow_table()
    extra = connection.sql(f"SELECT {names} FROM differing WHERE _cdc_kind = 'extra'").to_arrow_table()
    return mend.cast(schema.arrow()), extra.cast(schema.arrow()).select(schema.key)


def _collect(connection: duckdb.DuckDBPyConnection, target: Target, wanted: pa.Table) -> int:
    """Fill the temporary table ``differing``; the count of rows compared."""
    connection.register("wanted_rows", wanted)
    has_waiting = False
    if target.schema.key:
        keys = sorted(waiting(connection, target).keys)
        has_waiting = bool(keys)
        connection.register("waiting_keys", keys_of(keys, target.schema))
    connection.execute(collect_differences(target, has_waiting=has_waiting))
    row = first_row(connection, count_compared(target, has_waiting=has_waiting))
    return 0 if row is None else int(row[0])


def collect_differences(target: Target, *, has_waiting: bool) -> str:
    """One row per difference: its kind, and the row as it should be, or for an extra one as it is."""
    names = target.schema.names
    if target.schema.key:
        number, match = "1", sql.same_key(target, "w", "h")
    else:
        # without a key equal rows are told apart by counting them, so that multisets are compared
        number = f'row_number() OVER (PARTITION BY {sql.columns(names)}) AS "_cdc_number", 1'
        match = " AND ".join(f"w.{sql.quote(name)} IS NOT DISTINCT FROM h.{sql.quote(name)}" for name in names)
        match += ' AND w."_cdc_number" = h."_cdc_number"'
    values = ", ".join(
        f'CASE WHEN w."_cdc_is_there" IS NULL THEN h.{name} ELSE w.{name} END AS {name}'
        for name in map(sql.quote, names)
    )
    differ = " OR ".join(f"w.{sql.quote(name)} IS DISTINCT FROM h.{sql.quote(name)}" for name in names)
    return f"""CREATE OR REPLACE TEMP TABLE differing AS
WITH wanted AS (
    SELECT {sql.columns(names)}, {number} AS "_cdc_is_there"
    FROM wanted_rows AS t{_not_waiting(target, has_waiting=has_waiting)}
), held AS (
    SELECT {_held_columns(target)}, {number} AS "_cdc_is_there" FROM {sql.staging(target)} AS t
    WHERE "_cdc_current" AND NOT "_cdc_deleted"{_not_waiting(target, "AND", has_waiting=has_waiting)}
)
SELECT CASE WHEN h."_cdc_is_there" IS NULL THEN 'missing' WHEN w."_cdc_is_there" IS NULL THEN 'extra' ELSE 'changed' END
    AS "_cdc_kind", {values}
FROM wanted AS w FULL JOIN held AS h ON {match}
WHERE h."_cdc_is_there" IS NULL OR w."_cdc_is_there" IS NULL OR {differ}"""


def count_compared(target: Target, *, has_waiting: bool) -> str:
    """How many rows are compared."""
    return f"SELECT count(*) FROM wanted_rows AS t{_not_waiting(target, has_waiting=has_waiting)}"


def _held_columns(target: Target) -> str:
    """The data columns, JSON documents as their texts."""
    return ", ".join(
        f"CAST({sql.quote(column.name)} AS VARCHAR) AS {sql.quote(column.name)}"
        if column.json
        else sql.quote(column.name)
        for column in target.schema.columns
    )


def _not_waiting(target: Target, word: str = "WHERE", *, has_waiting: bool) -> str:
    if not has_waiting:
        return ""
    return f" {word} NOT EXISTS (SELECT 1 FROM waiting_keys AS k WHERE {sql.same_key(target, 't', 'k')})"
