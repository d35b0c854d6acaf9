"""The oracle of the scenarios: every staging table equals its source table, row by row, value by value.

It reads the source by psycopg's own types and the warehouse as Arrow; it shares no code with ``verify``.
"""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from tests.support.world import World


def assert_equal(world: World, *streams: str) -> None:
    """Every stream (all by default) shows exactly its source table's rows, less the keys waiting in quarantine."""
    for stream in streams or tuple(world.streams):
        relation = world.streams[stream].relation
        target = world.warehouse.states("shop")[stream].schema
        columns = ", ".join(_quoted(column.source_name) for column in target.columns)
        existing = {name for (name,) in world.rows(_columns_of(relation))}
        columns = ", ".join(
            _quoted(column.source_name) if column.source_name in existing else "NULL" for column in target.columns
        )
        source = [tuple(canonical(value) for value in row) for row in world.rows(f"SELECT {columns} FROM {relation}")]
        table = world.staging(stream)
        found = list(zip(*(_column(table, column.name, column.json) for column in target.columns), strict=True))
        waiting = {
            tuple(canonical(value) for value in json.loads(row["key"]).values())
            for row in world.quarantined(stream)
            if row["status"] == "waiting"
        }
        if waiting:
            places = [target.names.index(name) for name in target.key]
            source = [row for row in source if tuple(canonical(str(row[i])) for i in places) not in waiting]
        assert sorted(map(repr, found)) == sorted(map(repr, source)), f"{stream} differs"


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


def _column(table: Any, name: str, json_text: bool) -> list[Any]:
    values = table.column(name).to_pylist()
    if json_text:
        values = [None if value is None else json.loads(value) for value in values]
    return [canonical(value) for value in values]


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _columns_of(relation: str) -> str:
    literal = relation.replace("'", "''")
    return (
        f"SELECT attname FROM pg_attribute WHERE attrelid = '{literal}'::regclass AND attnum > 0 AND NOT attisdropped"
    )
