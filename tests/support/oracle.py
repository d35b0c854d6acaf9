"""The oracle of the scenarios: every staging table equals its source table, row by row, value by value.

It reads the source by psycopg's own types and the warehouse as Arrow; it shares no code with ``verify``.
"""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa

from pipeline.domain.schema import Column, StreamSchema
from tests.support.world import World


def assert_equal(world: World, *streams: str) -> None:
    """Every stream (all by default) shows exactly its source table's rows, less the keys waiting in quarantine."""
    for stream in streams or tuple(world.streams):
        schema = world.warehouse.states("shop")[stream].schema
        source = _source_rows(world, stream, schema)
        table = world.staging(stream)
        found = list(zip(*(_column(table, column) for column in schema.columns), strict=True))
        assert sorted(map(repr, found)) == sorted(map(repr, source)), f"{stream} differs"


def _source_rows(world: World, stream: str, schema: StreamSchema) -> list[tuple[Any, ...]]:
    relation = world.streams[stream].relation
    existing = {name for (name,) in world.rows(_columns_of(relation))}
    columns = [_quoted(column.source_name) if column.source_name in existing else "NULL" for column in schema.columns]
    waiting = [json.loads(row["key"]) for row in world.quarantined(stream) if row["status"] == "waiting"]
    query = f"SELECT {', '.join(columns)} FROM {relation}"
    if waiting:
        key = ", ".join(f"{_quoted(schema.column(name).source_name)}::text" for name in schema.key)
        values = ", ".join("(" + ", ".join(_literal(values[name]) for name in schema.key) + ")" for values in waiting)
        query += f" WHERE ({key}) NOT IN ({values})"
    rows = world.rows(query)
    return [
        tuple(_source_value(value, column) for value, column in zip(row, schema.columns, strict=True)) for row in rows
    ]


def _source_value(value: Any, column: Column) -> Any:
    if isinstance(value, float) and column.type == pa.float32():
        return canonical(float(np.float32(value)))
    return canonical(value)


def canonical(value: Any) -> Any:
    """One form for values that mean the same."""
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, float):
        return "NaN" if math.isnan(value) else value
    if isinstance(value, Decimal):
        return format(value.normalize(), "f") if value.is_finite() else str(value)
    if isinstance(value, datetime):
        return value.astimezone(UTC).replace(tzinfo=None).isoformat() if value.tzinfo else value.isoformat()
    if isinstance(value, memoryview | bytes):
        return bytes(value).hex()
    if isinstance(value, dict | list):
        return json.dumps(value, sort_keys=True, default=str)
    if isinstance(value, int | str):
        return value
    return str(value)


def _column(table: pa.Table, column: Column) -> list[Any]:
    values = table.column(column.name).to_pylist()
    if column.json:
        values = [None if value is None else json.loads(value) for value in values]
    return [canonical(value) for value in values]


def _literal(value: object) -> str:
    return "'" + str(value).replace("'", "''") + "'"


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _columns_of(relation: str) -> str:
    literal = relation.replace("'", "''")
    return (
        f"SELECT attname FROM pg_attribute WHERE attrelid = '{literal}'::regclass AND attnum > 0 AND NOT attisdropped"
    )
