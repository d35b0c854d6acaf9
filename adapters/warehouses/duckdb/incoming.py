"""Turns a step's Arrow tables into the shape of the warehouse's tables, column by column.

Nothing is decided here; the statements that read them are in ``sql`` and ``modes``.
"""

from __future__ import annotations

from datetime import datetime

import attrs
import pyarrow as pa
import pyarrow.compute as pc

from adapters.warehouses.duckdb.types import sql_type
from pipeline.domain.canonical import decode_rows, old_key_texts
from pipeline.domain.change import (
    COMMIT_AT_TYPE,
    METADATA_PREFIX,
    OLD_KEY,
    OP,
    OPERATION_LABELS,
    SEQUENCE,
    UNCHANGED,
    change_schema,
)
from pipeline.domain.schema import StreamSchema
from pipeline.domain.tables import LOAD, LOADED_AT, SCHEMA_VERSION, changelog_schema


@attrs.frozen
class Stamp:
    """Where rows were loaded: the load's number and its checkpoint's ``at``."""

    load: int
    at: datetime

    def onto(self, table: pa.Table) -> pa.Table:
        """The table with ``_cdc_load`` and ``_cdc_loaded_at``."""
        loads = pa.repeat(pa.scalar(self.load, pa.int64()), table.num_rows)
        times = pa.repeat(pa.scalar(self.at, COMMIT_AT_TYPE), table.num_rows)
        return table.append_column(LOAD, loads).append_column(LOADED_AT, times)


def changelog_rows(changes: pa.Table, schema: StreamSchema, *, version: int, stamp: Stamp) -> pa.Table:
    """Changes with the changelog's columns; old keys as canonical JSON."""
    table = labelled(changes)
    if schema.key:
        table = _replaced(table, OLD_KEY, old_key_texts(changes, schema))
    table = table.append_column(SCHEMA_VERSION, pa.repeat(pa.scalar(version, pa.int32()), table.num_rows))
    return as_json(stamp.onto(table), schema)


def labelled(table: pa.Table) -> pa.Table:
    """Operations as labels, encoded once for the whole column."""
    codes = pa.chunked_array([_labels(chunk) for chunk in table[OP].chunks], _LABEL_TYPE)
    return _replaced(table, OP, codes)


def as_json(table: pa.Table, schema: StreamSchema) -> pa.Table:
    """JSON columns marked as such, so that DuckDB keeps each text as it is instead of checking it."""
    for column in schema.columns:
        if column.json:
            values = table[column.name].cast(pa.string())
            kind = pa.json_(pa.string())
            chunks = [pa.ExtensionArray.from_storage(kind, chunk) for chunk in values.chunks]
            table = _replaced(table, column.name, pa.chunked_array(chunks, kind))
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


def unchanged_names(state: pa.Table) -> list[str]:
    """The columns that any row of a state takes from its base row."""
    column = state[UNCHANGED]
    if column.null_count == len(column):
        return []
    return sorted(name for name in pc.unique(pc.list_flatten(column)).to_pylist() if name is not None)


def lowest_sequence(table: pa.Table) -> int:
    """The first sequence of a table that is in order of sequence."""
    return int(table[SEQUENCE][0].as_py())


def as_changes(rows: pa.Table, schema: StreamSchema) -> pa.Table:
    """Changelog rows, as read from the warehouse, as the changes they were."""
    table = _replaced(rows, OP, pc.index_in(rows[OP], value_set=OPERATION_LABELS).cast(pa.int8()))
    if schema.key:
        table = _replaced(table, OLD_KEY, old_keys(rows[OLD_KEY], schema))
    return table.select(change_schema(schema).names).cast(change_schema(schema))


def as_changelog(rows: pa.Table, schema: StreamSchema) -> pa.Table:
    """Changelog rows, as read from the warehouse, with the types that the domain gives them."""
    table = _replaced(rows, OLD_KEY, old_keys(rows[OLD_KEY], schema)) if schema.key else rows
    return table.select(changelog_schema(schema).names).cast(changelog_schema(schema))


def old_keys(texts: pa.ChunkedArray, schema: StreamSchema) -> pa.Array:
    """Keys from their canonical JSON, null where null."""
    if texts.null_count == len(texts):
        return pa.nulls(len(texts), schema.key_type())
    combined = texts.cast(pa.string()).combine_chunks()
    known = keys_of(combined.drop_null().to_pylist(), schema)
    structs = pa.StructArray.from_arrays(
        [known[name].combine_chunks() for name in schema.key], fields=list(schema.key_type())
    )
    places = pc.subtract(pc.cumulative_sum(combined.is_valid().cast(pa.int64())), 1)
    return structs.take(pc.if_else(combined.is_valid(), places, pa.scalar(None, pa.int64())))


def keys_of(texts: list[str], schema: StreamSchema) -> pa.Table:
    """The key columns from keys in canonical JSON."""
    key_schema = StreamSchema([schema.column(name) for name in schema.key])
    return decode_rows(key_schema, texts).table.select(schema.key)


_LABEL_TYPE = pa.dictionary(pa.int8(), pa.string())


def _labels(codes: pa.Array) -> pa.Array:
    return pa.DictionaryArray.from_arrays(codes, OPERATION_LABELS)


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


def _replaced(table: pa.Table, name: str, values: pa.Array | pa.ChunkedArray) -> pa.Table:
    return table.set_column(table.column_names.index(name), name, values)
