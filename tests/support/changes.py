"""Change tables written row by row, for tests of the domain. Real batches come from sources, column by column."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from pipeline.domain.change import (
    COMMIT_AT,
    COMMIT_AT_TYPE,
    OLD_KEY,
    OP,
    SEQUENCE,
    UNCHANGED,
    UNCHANGED_TYPE,
    ChangeBatch,
    Misfit,
    Operation,
    change_schema,
)
from pipeline.domain.position import pack_sequences
from pipeline.domain.schema import StreamSchema

#: One change: the operation and its values; ``unchanged`` and ``old`` are given where the log would give them.
Row = tuple[Operation, Mapping[str, Any]]


def change(op: Operation, *, unchanged: Sequence[str] = (), old: Mapping[str, Any] | None = None, **values: Any) -> Row:
    """A change in the form that ``changes`` takes."""
    extra = {UNCHANGED: list(unchanged) or None, OLD_KEY: dict(old) if old else None}
    return op, {**values, **extra}


def insert(**values: Any) -> Row:
    """An insert."""
    return change(Operation.INSERT, **values)


def update(**values: Any) -> Row:
    """An update."""
    return change(Operation.UPDATE, **values)


def delete(**values: Any) -> Row:
    """A delete."""
    return change(Operation.DELETE, **values)


def truncate() -> Row:
    """A truncate."""
    return change(Operation.TRUNCATE)


def changes(schema: StreamSchema, rows: Sequence[Row], *, first_commit: int = 1) -> pa.Table:
    """A change table, each row a commit of its own from ``first_commit`` on."""
    count = len(rows)
    columns: dict[str, Any] = {
        column.name: pa.array([values.get(column.name) for _, values in rows], column.type) for column in schema.columns
    }
    columns[OP] = pa.array([op.value for op, _ in rows], pa.int8())
    columns[SEQUENCE] = pack_sequences(0, np.arange(first_commit, first_commit + count), 1, np.zeros(count))
    columns[COMMIT_AT] = pa.array([0] * count, COMMIT_AT_TYPE)
    columns[UNCHANGED] = pa.array([values[UNCHANGED] for _, values in rows], UNCHANGED_TYPE)
    if schema.key:
        columns[OLD_KEY] = pa.array([values[OLD_KEY] for _, values in rows], schema.key_type())
    return pa.table(columns, schema=change_schema(schema))


def batch(
    schema: StreamSchema, rows: Sequence[Row], *, misfits: tuple[Misfit, ...] = (), first_commit: int = 1
) -> ChangeBatch:
    """A batch of the stream ``orders``."""
    return ChangeBatch("orders", schema, changes(schema, rows, first_commit=first_commit), misfits)


def misfit(column: str, texts: Mapping[int, str], reason: str = "does not fit") -> Misfit:
    """Misfits of a column by row number."""
    return Misfit(column, pa.array(list(texts), pa.int64()), pa.array(list(texts.values()), pa.string()), reason)
