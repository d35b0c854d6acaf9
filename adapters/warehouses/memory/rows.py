"""Rows and changes as plain Python values, to and from Arrow tables, exactly.

What changes do to rows is told in ``modes``.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Any

import attrs
import pyarrow as pa

from pipeline.domain.change import COMMIT_AT, OLD_KEY, OP, SEQUENCE, UNCHANGED, Operation
from pipeline.domain.tables import (
    CURRENT,
    DELETED,
    LOAD,
    LOADED_AT,
    SCHEMA_VERSION,
    VALID_FROM,
    VALID_FROM_AT,
    VALID_TO,
    VALID_TO_AT,
)

Values = Mapping[str, object]

_NAN = ("nan",)


@attrs.frozen(eq=False)
class Change:
    """One change as the log told it, with where it was loaded. Times are microseconds since 1970."""

    values: Values
    op: Operation
    sequence: int
    commit_at: int
    unchanged: tuple[str, ...] | None
    old_key: Values | None
    schema_version: int
    load: int
    loaded_at: int

    @property
    def commit(self) -> int:
        """The sequence without its ordinal: equal for changes of one transaction, or of one snapshot."""
        return commit_of(self.sequence)


@attrs.frozen(eq=False)
class Row:
    """One row of a staging table with its metadata, as ``tables.STAGING_METADATA`` tells."""

    values: Values
    op: Operation
    sequence: int
    commit_at: int
    load: int
    loaded_at: int
    deleted: bool
    valid_from: int
    valid_from_at: int
    valid_to: int | None = None
    valid_to_at: int | None = None
    current: bool = True


def commit_of(sequence: int) -> int:
    """The packed sequence without its 44 bits of ordinal."""
    return sequence >> 44


def identity(value: object) -> Hashable:
    """Something hashable that is equal for equal values, NaN equal to NaN and null to null."""
    if isinstance(value, float) and value != value:
        return _NAN
    if isinstance(value, list | tuple):
        return tuple(identity(item) for item in value)
    if isinstance(value, dict):
        return tuple((name, identity(item)) for name, item in value.items())
    return value


def same(left: Values, right: Values) -> bool:
    """Whether two rows hold the same values under the same names."""
    return {name: identity(value) for name, value in left.items()} == {
        name: identity(value) for name, value in right.items()
    }


def key_of(values: Values, key: Sequence[str]) -> Hashable:
    """The identity of a row's key."""
    return tuple(identity(values[name]) for name in key)


def decode(column: pa.Array | pa.ChunkedArray) -> list[object]:
    """Python values of a column; dates and times as integers, since Python's own cannot hold them all."""
    array = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    if pa.types.is_struct(array.type):
        names = [field.name for field in array.type]
        items = zip(*(decode(child) for child in array.flatten()), strict=True)
        return [
            dict(zip(names, item, strict=True)) if valid else None
            for item, valid in zip(items, array.is_valid().to_pylist(), strict=True)
        ]
    carrier = _carrier(array.type)
    return list((array if carrier is None else array.cast(carrier)).to_pylist())


def encode(values: Iterable[object], kind: pa.DataType) -> pa.Array:
    """The column that ``decode`` gave the values of."""
    listed = list(values)
    if pa.types.is_struct(kind):
        items: list[dict[str, object]] = [value if isinstance(value, dict) else {} for value in listed]
        children = [encode([item.get(field.name) for item in items], field.type) for field in kind]
        nulls = pa.array([value is None for value in listed], pa.bool_())
        return pa.StructArray.from_arrays(children, fields=list(kind), mask=nulls)
    carrier = _carrier(kind)
    return pa.array(listed, kind) if carrier is None else pa.array(listed, carrier).cast(kind)


def decode_rows(table: pa.Table) -> list[dict[str, Any]]:
    """A dict per row, as ``decode`` gives its values."""
    columns = [decode(column) for column in table.columns]
    return [dict(zip(table.column_names, row, strict=True)) for row in zip(*columns, strict=True)]


def encode_rows(rows: Iterable[Values], schema: pa.Schema) -> pa.Table:
    """The table of ``schema`` with these rows; names that a row lacks are null."""
    listed = list(rows)
    return pa.table([encode([row.get(field.name) for row in listed], field.type) for field in schema], schema=schema)


def changes_of(table: pa.Table, names: Sequence[str], *, version: int, load: int, loaded_at: int) -> list[Change]:
    """The rows of a change table of the data columns ``names``."""
    return [
        Change(
            values={name: row[name] for name in names},
            op=Operation(row[OP]),
            sequence=int(row[SEQUENCE]),
            commit_at=row[COMMIT_AT],
            unchanged=None if row[UNCHANGED] is None else tuple(row[UNCHANGED]),
            old_key=row.get(OLD_KEY),
            schema_version=version,
            load=load,
            loaded_at=loaded_at,
        )
        for row in decode_rows(table)
    ]


def staging_record(row: Row) -> Values:
    """A staging row with its metadata columns."""
    return {
        **row.values,
        OP: row.op.label,
        SEQUENCE: row.sequence,
        COMMIT_AT: row.commit_at,
        LOAD: row.load,
        LOADED_AT: row.loaded_at,
        DELETED: row.deleted,
        VALID_FROM: row.valid_from,
        VALID_TO: row.valid_to,
        VALID_FROM_AT: row.valid_from_at,
        VALID_TO_AT: row.valid_to_at,
        CURRENT: row.current,
    }


def changelog_record(change: Change) -> Values:
    """A changelog row with its metadata columns."""
    return {
        **change.values,
        OP: change.op.label,
        SEQUENCE: change.sequence,
        COMMIT_AT: change.commit_at,
        UNCHANGED: change.unchanged,
        OLD_KEY: change.old_key,
        SCHEMA_VERSION: change.schema_version,
        LOAD: change.load,
        LOADED_AT: change.loaded_at,
    }


def _carrier(kind: pa.DataType) -> pa.DataType | None:
    if pa.types.is_date32(kind) or pa.types.is_time32(kind):
        return pa.int32()
    if pa.types.is_timestamp(kind) or pa.types.is_time64(kind) or pa.types.is_duration(kind):
        return pa.int64()
    return None
