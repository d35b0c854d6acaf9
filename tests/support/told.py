"""Builds change tables from plain Python values, for tests that say what happened row by row."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta

import attrs
import pyarrow as pa

from pipeline.domain.change import COMMIT_AT, OLD_KEY, OP, SEQUENCE, UNCHANGED, Operation, change_schema
from pipeline.domain.position import PHASE_LOG, PHASE_SNAPSHOT, Sequence
from pipeline.domain.schema import StreamSchema

START = datetime(2026, 1, 1, tzinfo=UTC)


@attrs.frozen
class Told:
    """A change as a test tells it: values by column (missing: null), and when it happened."""

    op: Operation
    sequence: Sequence
    commit_at: datetime
    values: Mapping[str, object] = attrs.field(factory=dict)
    unchanged: tuple[str, ...] | None = None
    old_key: Mapping[str, object] | None = None


@attrs.define
class Log:
    """Tells changes in order; ``commit()`` begins the next transaction, a second later unless said otherwise."""

    epoch: int = 0
    lsn: int = 100
    ordinal: int = 0
    at: datetime = START

    def commit(self, *, after: timedelta = timedelta(seconds=1)) -> Log:
        """Begin the next transaction."""
        self.lsn += 10
        self.ordinal = 0
        self.at += after
        return self

    def insert(self, **values: object) -> Told:
        """A row is inserted."""
        return self._told(Operation.INSERT, values)

    def update(
        self, *, unchanged: tuple[str, ...] | None = None, old_key: Mapping[str, object] | None = None, **values: object
    ) -> Told:
        """A row is updated, all columns given but ``unchanged`` ones."""
        return attrs.evolve(self._told(Operation.UPDATE, values), unchanged=unchanged, old_key=old_key)

    def delete(self, **key: object) -> Told:
        """A row is deleted."""
        return self._told(Operation.DELETE, key)

    def truncate(self) -> Told:
        """All rows are gone."""
        return self._told(Operation.TRUNCATE, {})

    def snapshot(self, **values: object) -> Told:
        """A row is copied."""
        return self._told(Operation.SNAPSHOT, values)

    def _told(self, op: Operation, values: Mapping[str, object]) -> Told:
        phase = PHASE_SNAPSHOT if op is Operation.SNAPSHOT else PHASE_LOG
        sequence = Sequence(self.epoch, self.lsn, phase, self.ordinal)
        self.ordinal += 1
        return Told(op, sequence, self.at, values)


def change_table(schema: StreamSchema, changes: Iterable[Told]) -> pa.Table:
    """The changes as a table that follows ``change_schema(schema)``."""
    told = list(changes)
    arrays = [pa.array([one.values.get(column.name) for one in told], column.type) for column in schema.columns]
    expected = change_schema(schema)
    arrays += [
        pa.array([int(one.op) for one in told], expected.field(OP).type),
        pa.array([one.sequence.pack() for one in told], expected.field(SEQUENCE).type),
        pa.array([one.commit_at for one in told], expected.field(COMMIT_AT).type),
        pa.array([one.unchanged for one in told], expected.field(UNCHANGED).type),
    ]
    if schema.key:
        arrays.append(pa.array([one.old_key for one in told], expected.field(OLD_KEY).type))
    return pa.Table.from_arrays(arrays, schema=expected)
