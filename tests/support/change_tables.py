"""Small change tables and schemas, written as tests read best: one line per change.

Random ones are made by the property tests themselves.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import attrs
import pyarrow as pa

from pipeline.domain.change import COMMIT_AT, OLD_KEY, OP, SEQUENCE, UNCHANGED, Operation, change_schema
from pipeline.domain.position import Sequence as ChangeSequence
from pipeline.domain.schema import Column, StreamSchema

START = datetime(2026, 1, 1, tzinfo=UTC)


@attrs.frozen
class Written:
    """One change: what it did, the values it gives (others null), and what the log says about it."""

    op: Operation
    values: dict[str, Any]
    unchanged: tuple[str, ...] = ()
    old_key: dict[str, Any] | None = None
    commit: int = 1


def schema_of(key: Sequence[str] = ("id",), **types: pa.DataType) -> StreamSchema:
    """A stream schema from names and types."""
    return StreamSchema(tuple(Column(name, kind) for name, kind in types.items()), key=tuple(key))


def insert(commit: int = 1, **values: Any) -> Written:
    """An insert."""
    return Written(Operation.INSERT, values, commit=commit)


def update(
    commit: int = 1, *, unchanged: Iterable[str] = (), was: dict[str, Any] | None = None, **values: Any
) -> Written:
    """An update; ``was`` is the key before it."""
    return Written(Operation.UPDATE, values, tuple(unchanged), was, commit)


def delete(commit: int = 1, **values: Any) -> Written:
    """A delete."""
    return Written(Operation.DELETE, values, commit=commit)


def truncate(commit: int = 1) -> Written:
    """A truncate."""
    return Written(Operation.TRUNCATE, {}, commit=commit)


def snapshot(commit: int = 1, **values: Any) -> Written:
    """A row of a snapshot."""
    return Written(Operation.SNAPSHOT, values, commit=commit)


def commit_at(commit: int) -> datetime:
    """When a commit of these tables happened."""
    return START + timedelta(seconds=commit)


def sequence(commit: int, ordinal: int) -> int:
    """The packed sequence of a logged change."""
    return ChangeSequence(epoch=0, commit=commit, phase=1, ordinal=ordinal).pack()


def changes_of(schema: StreamSchema, written: Sequence[Written], *, chunk_rows: int | None = None) -> pa.Table:
    """The change table; the ordinal of a change is its place in ``written``."""
    rows = [
        {name: change.values.get(name) for name in schema.names}
        | {
            OP: int(change.op),
            SEQUENCE: sequence(change.commit, number),
            COMMIT_AT: commit_at(change.commit),
            UNCHANGED: list(change.unchanged) or None,
            OLD_KEY: change.old_key,
        }
        for number, change in enumerate(written)
    ]
    arrow = change_schema(schema)
    table = pa.Table.from_pylist(rows, arrow)
    if chunk_rows is None:
        return table
    pieces = [table.slice(start, chunk_rows) for start in range(0, len(rows), chunk_rows)]
    return pa.concat_tables(pieces) if pieces else table
