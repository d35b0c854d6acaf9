"""Loads the batches of a group into the warehouse, each in one transaction, from the checkpoint on.

Where batches come from, when to stop and what to do after an error is decided in ``pump``.
"""

from __future__ import annotations

from datetime import UTC, datetime

from pipeline.application.session import Session
from pipeline.application.streamload import StreamLoad, evolve_state
from pipeline.domain.change import GroupBatch
from pipeline.domain.checkpoint import Checkpoint, StreamState
from pipeline.domain.counts import StreamCounts, add_counts
from pipeline.domain.errors import PipelineError, WarehouseError
from pipeline.domain.events import BatchApplied, IdleCheckpoint, SchemaChanged
from pipeline.domain.position import Position
from pipeline.domain.quarantine import Waiting
from pipeline.domain.schema import StreamSchema
from pipeline.ports.warehouse import Load, target_of


class GroupLoader:
    """Knows the checkpoint, the stream states and the waiting keys of one group, and moves them with each load.

    After any error it is spent: read checkpoint and states again and build a new one.
    """

    def __init__(self, session: Session, checkpoint: Checkpoint, states: dict[str, StreamState]) -> None:
        self.checkpoint = checkpoint
        self.states = states
        self._session = session
        self._waiting: dict[str, Waiting] = {}
        self._followed: dict[str, StreamSchema] = {}

    def load(self, batch: GroupBatch) -> BatchApplied:
        """Load a batch and move the checkpoint to its end, together (P1).

        A batch that ends at or before the checkpoint is already covered: it is counted, and nothing is done (P4, P6).
        """
        session = self._session
        started = session.clock.monotonic()
        if self.checkpoint.position.covers(batch.up_to):
            return self._applied(batch, _covered(batch), started=started)
        migrated = self._migrate(batch)
        checkpoint = self.checkpoint.next(batch.up_to, at=session.clock.now())
        loads = {name: self._stream_load(name) for name in batch.schemas}
        with session.warehouse.load(self.checkpoint, checkpoint) as load:
            self._take(load, batch, loads)
            for name, bookmarks in batch.bookmarks.items():
                load.remember(name, bookmarks)
            for name in migrated:
                load.set_state(self.states[name])
            counts = self._counts(batch, loads)
            load.commit(counts)
        self.checkpoint = checkpoint
        self._waiting.update({name: stream.waiting for name, stream in loads.items()})
        event = self._applied(batch, counts, started=started)
        session.metrics.record(event)
        return event

    def idle(self, position: Position) -> None:
        """Move the checkpoint alone, since nothing of any stream changed up to ``position`` (P12)."""
        session = self._session
        checkpoint = self.checkpoint.next(position, at=session.clock.now())
        session.warehouse.idle(self.checkpoint, checkpoint)
        self.checkpoint = checkpoint
        session.metrics.record(IdleCheckpoint(session.group, at=checkpoint.at))

    def _applied(self, batch: GroupBatch, counts: dict[str, StreamCounts], *, started: float) -> BatchApplied:
        clock = self._session.clock
        return BatchApplied(
            group=self._session.group,
            load=self.checkpoint.load,
            counts=counts,
            transaction_count=batch.transaction_count,
            byte_count=batch.byte_count,
            first_commit_at=_instant(batch.first_commit_at),
            last_commit_at=_instant(batch.last_commit_at),
            at=clock.now(),
            seconds=clock.monotonic() - started,
        )

    def _migrate(self, batch: GroupBatch) -> list[str]:
        """Bring the tables in line with the batch's schemas before the load's transaction; tell whose state changed."""
        session = self._session
        migrated = []
        for name, schemas in batch.schemas.items():
            if schemas == (self._followed.get(name),):
                continue
            state, migration, phrases = evolve_state(
                self.states[name],
                schemas,
                spec=session.pipeline.streams[name],
                warehouse=session.warehouse,
            )
            if state.schema != self.states[name].schema:
                migrated.append(name)
            self.states[name] = state
            self._followed[name] = schemas[-1]
            if migration is not None:
                self.checkpoint = session.warehouse.migrate(self.checkpoint, [migration])
                self._waiting.pop(name, None)  # a renamed key renames what waits
                session.metrics.record(SchemaChanged(name, state.schema_version, phrases))
        return migrated

    def _stream_load(self, name: str) -> StreamLoad:
        session = self._session
        target = target_of(self.states[name])
        if name not in self._waiting:
            self._waiting[name] = session.warehouse.waiting(target)
        return StreamLoad(
            spec=session.pipeline.streams[name],
            target=target,
            waiting=self._waiting[name],
            flush_rows=session.pipeline.limits.rows,
            flush_bytes=session.pipeline.limits.bytes,
            limits=session.warehouse.limits,
        )

    def _take(self, load: Load, batch: GroupBatch, loads: dict[str, StreamLoad]) -> None:
        for piece in batch.pieces:
            try:
                loads[piece.stream].take(load, piece)
            except PipelineError as error:
                error.where = error.where or f"stream {piece.stream}"
                raise
        for stream in loads.values():
            stream.flush(load)

    def _counts(self, batch: GroupBatch, loads: dict[str, StreamLoad]) -> dict[str, StreamCounts]:
        counts = {name: stream.counts for name, stream in loads.items()}
        add_counts(counts, {name: StreamCounts.covered(rows) for name, rows in batch.covered_counts.items()})
        unbalanced = sorted(name for name, count in counts.items() if not count.is_balanced)
        if unbalanced:
            raise WarehouseError(
                f"the changes of {', '.join(unbalanced)} do not add up, so the batch was not loaded",
                where=f"group {self._session.group}",
                hint="This is a defect of the pipeline: please report it with the log.",
                counts={name: str(counts[name]) for name in unbalanced},
            )
        return counts


def _covered(batch: GroupBatch) -> dict[str, StreamCounts]:
    counts: dict[str, StreamCounts] = {}
    for piece in batch.pieces:
        add_counts(counts, {piece.stream: StreamCounts.covered(piece.row_count)})
    return counts


def _instant(seconds: float | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)
