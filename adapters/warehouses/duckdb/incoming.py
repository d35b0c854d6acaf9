"""Turns a step's Arrow tables into the shape of the warehouse's tables, column by column.

Nothing is decided here; the statements that read them are in ``sql`` and ``modes``.
"""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from adapters.warehouses import changerows
from adapters.warehouses.changerows import Stamp, replaced
from adapters.warehouses.duckdb.types import sql_type
from pipeline.domain.naming import METADATA_PREFIX
from pipeline.domain.schema import StreamSchema


def changelog_rows(changes: pa.Table, schema: StreamSchema, *, version: int, stamp: Stamp) -> pa.Table:
    """Changes with the changelog's columns; old keys as canonical JSON."""
    return as_json(changerows.changelog_rows(changes, schema, version=version, stamp=stamp), schema)


def as_json(table: pa.Table, schema: StreamSchema) -> pa.Table:
    """JSON columns marked as such, so that DuckDB keeps each text as it is instead of checking it."""
    for column in schema.columns:
        if column.json:
            values = table[column.name].cast(pa.string())
            kind = pa.json_(pa.string())
            chunks = [pa.ExtensionArray.from_storage(kind, chunk) for chunk in values.chunks]
            table = replaced(table, column.name, pa.chunked_array(chunks, kind))
    return table


def constants(table: pa.Table) -> dict[str, str]:
    """The metadata columns that hold one value throughout, each as a literal; text and sequences are not looked at.

    DuckDB works out and stores a literal at a fraction of what a column of equal values costs.
    """
    found = {}
    for field in table.schema:
        if field.name.startswith(METADATA_PREFIX) and (value := _constant(table[field.name])) is not None:
            found[field.name] = value
    return found


def _constant(column: pa.ChunkedArray) -> str | None:
    kind = column.type
    if column.null_count == len(column):
        return f"CAST(NULL AS {'JSON' if pa.types.is_struct(kind) else sql_type(kind)})"
    if pa.types.is_dictionary(kind):
        codes = pc.unique(column)
        return f"'{codes[0].as_py()}'" if len(codes) == 1 else None
    if column.null_count or not (pa.types.is_integer(kind) or pa.types.is_timestamp(kind)):
        return None
    bounds = pc.min_max(column)
    if bounds["min"] != bounds["max"]:
        return None
    if pa.types.is_timestamp(kind):
        return f"make_timestamptz({bounds['min'].value})"
    return f"CAST({bounds['min'].as_py()} AS {sql_type(kind)})"
