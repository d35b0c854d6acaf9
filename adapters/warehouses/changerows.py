"""Changes as the rows of a changelog and back, and which rows a state takes values from; the same on every warehouse.

Types, texts of JSON columns and the statements that write the rows are each warehouse adapter's.
"""

from __future__ import annotations

from datetime import datetime

import attrs
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.domain.canonical import decode_rows, old_key_texts
from pipeline.domain.change import (
    COMMIT_AT_TYPE,
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
        table = replaced(table, OLD_KEY, old_key_texts(changes, schema))
    table = table.append_column(SCHEMA_VERSION, pa.repeat(pa.scalar(version, pa.int32()), table.num_rows))
    return stamp.onto(table)


def labelled(table: pa.Table) -> pa.Table:
    """Operations as labels, encoded once for the whole column."""
    codes = pa.chunked_array([_labels(chunk) for chunk in table[OP].chunks], _LABEL_TYPE)
    return replaced(table, OP, codes)


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
    table = replaced(rows, OP, pc.index_in(rows[OP], value_set=OPERATION_LABELS).cast(pa.int8()))
    if schema.key:
        table = replaced(table, OLD_KEY, old_keys(rows[OLD_KEY], schema))
    return table.select(change_schema(schema).names).cast(change_schema(schema))


def as_changelog(rows: pa.Table, schema: StreamSchema) -> pa.Table:
    """Changelog rows, as read from the warehouse, with the types that the domain gives them."""
    table = replaced(rows, OLD_KEY, old_keys(rows[OLD_KEY], schema)) if schema.key else rows
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


def replaced(table: pa.Table, name: str, values: pa.Array | pa.ChunkedArray) -> pa.Table:
    """The table with other values in a column."""
    return table.set_column(table.column_names.index(name), name, values)


_LABEL_TYPE = pa.dictionary(pa.int8(), pa.string())


def _labels(codes: pa.Array) -> pa.Array:
    return pa.DictionaryArray.from_arrays(codes, OPERATION_LABELS)
