"""Brings the changes of a batch to the schema that the warehouse's tables have after evolution.

Which schema that is, and which columns are left out, was decided by ``evolution``.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.domain.change import OLD_KEY, OP, UNCHANGED, Operation, change_schema
from pipeline.domain.matching import match
from pipeline.domain.schema import Column, StreamSchema
from pipeline.domain.unchanged import Unchanged
from pipeline.domain.valuetext import one_array

_WITHOUT_ROW = pa.array([int(Operation.DELETE), int(Operation.TRUNCATE)], pa.int8())


def conform(table: pa.Table, schema: StreamSchema, target: StreamSchema) -> pa.Table:
    """``table``, which follows ``change_schema(schema)``, as one that follows ``change_schema(target)``.

    ``target`` is what ``evolve`` made of ``schema`` (or of a later one). Columns get the names and types of the target;
    text and binary columns may come as views or large types. Columns that the batch lacks show their default, in
    deletes and truncates null; columns that belong to no target column were left out by policy and are dropped.
    Raises ``ValueError`` naming the column if a value cannot be brought to its type exactly.
    """
    wanted = change_schema(target)
    places = match(schema.columns, target.columns)
    sources = {place.name: name for name, place in places.items()}
    if table.schema.equals(wanted) and all(sources.get(name) == name for name in target.names):
        return table
    data = [
        _cast(table[sources[column.name]], column) if column.name in sources else _default(table, column)
        for column in target.columns
    ]
    renamed = {name: place.name for name, place in places.items()}
    arrays = []
    for field in list(wanted)[len(data) :]:
        if field.name == UNCHANGED:
            arrays.append(_renamed_lists(table, renamed, schema))
        elif field.name == OLD_KEY:
            arrays.append(_old_keys(table, target, sources))
        else:
            arrays.append(table[field.name])
    return pa.Table.from_arrays([*data, *arrays], schema=wanted)


def _cast(values: pa.Array | pa.ChunkedArray, column: Column) -> pa.Array | pa.ChunkedArray:
    if values.type == column.type:
        return values
    try:
        if isinstance(values.type, pa.BaseExtensionType):
            values = values.cast(values.type.storage_type)
        return values.cast(column.type)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):  # Arrow's own text would show the value
        raise ValueError(f"column {column.name} has a value that is not one of {column.type}") from None


def _default(table: pa.Table, column: Column) -> pa.Array:
    if column.default is None:
        return pa.nulls(table.num_rows, column.type)
    is_gone = pc.is_in(one_array(table[OP]), value_set=_WITHOUT_ROW)
    return pc.if_else(is_gone, pa.scalar(None, column.type), column.default.cast(column.type))


def _renamed_lists(table: pa.Table, renamed: dict[str, str], schema: StreamSchema) -> pa.Array | pa.ChunkedArray:
    lists = table[UNCHANGED]
    if lists.null_count == len(lists) or all(renamed.get(name) == name for name in schema.names):
        return lists
    unchanged = Unchanged.of(table)
    known = pa.array(list(renamed), pa.string())
    at = pc.index_in(unchanged.names, value_set=known)
    rows = unchanged.rows[at.is_valid().to_numpy(zero_copy_only=False)]
    names = pa.array(list(renamed.values()), pa.string()).take(at.drop_null())
    counts = np.bincount(rows, minlength=table.num_rows)
    offsets = np.concatenate(([0], np.cumsum(counts))).astype(np.int32)
    return pa.ListArray.from_arrays(pa.array(offsets), names, mask=pa.array(counts == 0))


def _old_keys(table: pa.Table, target: StreamSchema, sources: dict[str, str]) -> pa.Array:
    kind = target.key_type()
    if OLD_KEY not in table.column_names or table[OLD_KEY].null_count == table.num_rows:
        return pa.nulls(table.num_rows, kind)
    old = one_array(table[OLD_KEY])
    fields = [_cast(pc.struct_field(old, sources[name]), target.column(name)) for name in target.key]
    return pa.StructArray.from_arrays(fields, fields=list(kind), mask=old.is_null())
