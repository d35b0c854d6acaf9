"""A source in memory, with a log and a slot, for tests of use cases: small enough to be seen to be right.

Positions count commits: a transaction with number n lies at position n.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

import attrs
import numpy as np
import pyarrow as pa

from pipeline.domain.change import (
    COMMIT_AT,
    OLD_KEY,
    OP,
    SEQUENCE,
    UNCHANGED,
    ChangeBatch,
    GroupBatch,
    Operation,
    change_schema,
)
from pipeline.domain.checkpoint import Checkpoint
from pipeline.domain.errors import LogLost, PipelineError, SourceRejected
from pipeline.domain.finding import Finding
from pipeline.domain.position import PHASE_LOG, PHASE_SNAPSHOT, Position, pack_sequences
from pipeline.domain.schema import Column, StreamSchema
from pipeline.domain.stream import BatchLimits, StreamSpec
from pipeline.ports.source import BookmarksOf, LogState, LogStatus, Relation

Row = dict[str, Any]
Change = tuple[str, Operation, Row]

ORDERS = StreamSchema((Column("id", pa.int64()), Column("status", pa.string())), key=("id",))


def at(number: int) -> Position:
    """The position after transaction ``number``."""
    return Position({"commit": number})


@attrs.define
class Database:
    """Tables, the log of committed transactions, and the slot. ``faults`` are raised by the reader, one a call."""

    schemas: dict[str, StreamSchema] = attrs.field(factory=lambda: {"orders": ORDERS})
    tables: dict[str, dict[Any, Row]] = attrs.field(factory=lambda: {"orders": {}})
    log: list[list[Change]] = attrs.field(factory=list)
    slot: int | None = None
    confirmed: list[int] = attrs.field(factory=list)
    snapshot_count: int = 0
    open_readers: int = 0
    faults: list[PipelineError] = attrs.field(factory=list)

    def commit(self, *changes: Change) -> int:
        """Apply and log one transaction; its number."""
        for table, operation, row in changes:
            if operation is Operation.DELETE:
                del self.tables[table][row["id"]]
            else:
                self.tables[table][row["id"]] = row
        self.log.append(list(changes))
        return len(self.log)


class MemorySource:
    """The Source port over a ``Database``."""

    def __init__(self, database: Database, name: str = "shop") -> None:
        self.database = database
        self._name = name

    @property
    def name(self) -> str:
        return self._name

    def discover(self) -> tuple[Relation, ...]:
        return tuple(
            Relation(name, "table", schema, estimated_count=len(self.database.tables[name]))
            for name, schema in sorted(self.database.schemas.items())
        )

    def inspect(self, streams: Collection[StreamSpec]) -> tuple[Finding, ...]:
        return ()

    def schemas(self, streams: Collection[StreamSpec]) -> Mapping[str, StreamSchema]:
        return {spec.name: self.database.schemas[spec.relation] for spec in streams}

    def preview(self, stream: StreamSpec, *, limit: int) -> pa.Table:
        rows = list(self.database.tables[stream.relation].values())[:limit]
        return pa.Table.from_pylist(rows, self.database.schemas[stream.relation].arrow())

    def log(self) -> LogState:
        kept = LogStatus.ACTIVE if self.database.open_readers else LogStatus.READY
        status = LogStatus.MISSING if self.database.slot is None else kept
        confirmed = None if self.database.slot is None else at(self.database.slot)
        return LogState(status, confirmed, at(len(self.database.log)))

    def check(self, checkpoint: Checkpoint) -> LogState:
        state = self.log()
        if state.confirmed is None:
            raise LogLost("the slot is gone", where=self.name, case="missing")
        if not checkpoint.position.covers(state.confirmed):
            raise LogLost("the slot is ahead", where=self.name, case="ahead")
        return state

    def prepare(self, streams: Collection[StreamSpec]) -> None:
        self.schemas(streams)

    def begin(self, streams: Collection[StreamSpec], *, epoch: int) -> MemorySnapshot:
        if self.database.slot is not None:
            raise SourceRejected("the log is already kept", where=self.name)
        self.database.slot = len(self.database.log)
        return self.snapshot(streams, epoch=epoch)

    def snapshot(self, streams: Collection[StreamSpec], *, epoch: int) -> MemorySnapshot:
        self.database.snapshot_count += 1
        return MemorySnapshot(self.database, {spec.name: spec.relation for spec in streams}, epoch)

    def forget(self) -> None:
        self.database.slot = None

    def mark(self) -> Position:
        self.database.commit()
        return at(len(self.database.log))

    def read(
        self,
        checkpoint: Checkpoint,
        streams: Mapping[str, tuple[StreamSpec, Position]],
        *,
        limits: BatchLimits,
        up_to: Position | None = None,
        bookmarks: BookmarksOf | None = None,
    ) -> MemoryReader:
        self.check(checkpoint)
        return MemoryReader(self.database, checkpoint, streams, up_to)

    def close(self) -> None:
        """Nothing to close."""


class MemorySnapshot:
    """The tables as they were when it was opened."""

    has_unique_keys = True

    def __init__(self, database: Database, relations: dict[str, str], epoch: int) -> None:
        self.position = at(len(database.log))
        self.schemas = {name: database.schemas[relation] for name, relation in relations.items()}
        self._rows = {name: list(database.tables[relation].values()) for name, relation in relations.items()}
        self._epoch = epoch

    def __enter__(self) -> MemorySnapshot:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing to release."""

    def estimate(self, stream: str) -> int | None:
        return len(self._rows[stream])

    def read(self, stream: str) -> Iterator[ChangeBatch]:
        rows = self._rows[stream]
        if rows:
            changes = [(Operation.SNAPSHOT, row) for row in rows]
            commit = int(self.position.parts["commit"])
            table = change_table(self.schemas[stream], changes, epoch=self._epoch, commit=commit, phase=PHASE_SNAPSHOT)
            yield ChangeBatch(stream, self.schemas[stream], table)

    def bookmarks(self, stream: str) -> None:
        """The log remembers."""


class MemoryReader:
    """One transaction per batch."""

    def __init__(
        self,
        database: Database,
        checkpoint: Checkpoint,
        streams: Mapping[str, tuple[StreamSpec, Position]],
        up_to: Position | None,
    ) -> None:
        self._database = database
        self._checkpoint = checkpoint
        self._streams = {spec.relation: (name, int(since.parts["commit"])) for name, (spec, since) in streams.items()}
        self._next = int(checkpoint.position.parts["commit"])
        self._end = None if up_to is None else int(up_to.parts["commit"])

    def __enter__(self) -> MemoryReader:
        self._database.open_readers += 1
        return self

    def __exit__(self, *_: object) -> None:
        self._database.open_readers -= 1

    def next(self, timeout_s: float) -> GroupBatch | None:
        if self._database.faults:
            raise self._database.faults.pop(0)
        end = len(self._database.log) if self._end is None else self._end
        if self._next >= end:
            time.sleep(0.001)
            return None
        self._next += 1
        return self._batch(self._next)

    def acknowledge(self, position: Position) -> None:
        number = int(position.parts["commit"])
        self._database.confirmed.append(number)
        self._database.slot = max(self._database.slot or 0, number)

    def _batch(self, number: int) -> GroupBatch:
        pieces, covered = [], {}
        for relation, (name, since) in self._streams.items():
            changes = [(op, row) for table, op, row in self._database.log[number - 1] if table == relation]
            if not changes:
                continue
            if number <= since:
                covered[name] = len(changes)
                continue
            schema = self._database.schemas[relation]
            table = change_table(schema, changes, epoch=self._checkpoint.epoch, commit=number, phase=PHASE_LOG)
            pieces.append(ChangeBatch(name, schema, table))
        now = time.time()
        return GroupBatch(
            after=at(number - 1),
            up_to=at(number),
            schemas={piece.stream: (piece.schema,) for piece in pieces},
            pieces=tuple(pieces),
            transaction_count=1,
            covered_counts=covered,
            first_commit_at=now,
            last_commit_at=now,
            row_count=sum(piece.row_count for piece in pieces),
            byte_count=100,
        )


def change_table(
    schema: StreamSchema, changes: list[tuple[Operation, Row]], *, epoch: int, commit: int, phase: int
) -> pa.Table:
    """Rows as a change table, all of one commit."""
    columns = {name: [row.get(name) for _, row in changes] for name in schema.names}
    columns[OP] = [int(operation) for operation, _ in changes]
    columns[COMMIT_AT] = [datetime(2026, 1, 1, tzinfo=UTC)] * len(changes)
    columns[UNCHANGED] = [None] * len(changes)
    columns[OLD_KEY] = [None] * len(changes)
    fields = change_schema(schema)
    arrays = []
    for field in fields:
        if field.name == SEQUENCE:
            arrays.append(pack_sequences(epoch, commit, phase, np.arange(len(changes))))
        else:
            arrays.append(pa.array(columns[field.name], field.type))
    return pa.Table.from_arrays(arrays, schema=fields)
