"""Moves changes from the source's log into the warehouse, batch after batch, until a position or a stop.

Copying streams before it is ``beginning``'s; what follows a load (marts, verification) is the callers'.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import attrs

from pipeline.application.fencing import fenced_if_moved
from pipeline.application.loader import GroupLoader
from pipeline.application.prefetch import ahead
from pipeline.application.session import Session
from pipeline.domain.change import GroupBatch
from pipeline.domain.checkpoint import Checkpoint, StreamState
from pipeline.domain.counts import StreamCounts, add_counts
from pipeline.domain.errors import PipelineError
from pipeline.domain.events import Retrying
from pipeline.domain.position import Position
from pipeline.domain.stream import BatchLimits, StreamSpec
from pipeline.ports.source import LogReader

#: How long one call to the reader waits for changes, in seconds; also how soon a stop is noticed.
WAIT_S = 0.5

#: A batch of more than this part of its limits is large.
_LARGE_SHARE = 8

_FIRST_DELAY_S = 1.0
_LONGEST_DELAY_S = 60.0


@attrs.define
class Pumped:
    """What a pump moved so far: where it is, and what became of each stream's changes."""

    checkpoint: Checkpoint
    counts: dict[str, StreamCounts] = attrs.field(factory=dict)
    batch_count: int = 0
    transaction_count: int = 0

    def add(self, counts: dict[str, StreamCounts], *, transactions: int) -> None:
        """Count one load."""
        self.batch_count += 1
        self.transaction_count += transactions
        add_counts(self.counts, counts)


OnLoaded = Callable[[dict[str, StreamCounts]], None]


def pump(
    session: Session,
    *,
    up_to: Position | None = None,
    attempts: int | None = None,
    on_loaded: OnLoaded = lambda _: None,
) -> Pumped:
    """Load everything from the checkpoint on, to exactly ``up_to`` or until the session's stop is set.

    An unreachable system is tried again with growing delays, ``attempts`` times in a row (None: for ever), each time
    from the checkpoint as the warehouse has it, which also settles a commit whose answer was lost.
    ``on_loaded`` is called after each load, with its counts, and must return quickly.
    """
    pumped: Pumped | None = None
    failures = 0
    while True:
        try:
            checkpoint = session.warehouse.checkpoint(session.group)
            assert checkpoint is not None, "beginning.ready comes first"  # noqa: S101 - a caller's duty
            pumped = pumped or Pumped(checkpoint)
            before = checkpoint
            pumped.checkpoint = checkpoint
            _pump_once(session, pumped, up_to=up_to, on_loaded=on_loaded)
        except PipelineError as error:
            if not error.retries or session.stop.is_set():
                raise
            progressed = pumped is not None and pumped.checkpoint != before
            failures = 1 if progressed else failures + 1
            if attempts is not None and failures >= attempts:
                raise
            _back_off(session, failures, error)
        else:
            return pumped
        if session.stop.is_set() and pumped is not None:
            return pumped


def _pump_once(session: Session, pumped: Pumped, *, up_to: Position | None, on_loaded: OnLoaded) -> None:
    states = session.warehouse.states(session.group)
    loader = GroupLoader(session, pumped.checkpoint, states)
    if up_to is not None and loader.checkpoint.position.covers(up_to):
        return
    limits = session.pipeline.limits
    streams = _readable(session, states)
    with (
        fenced_if_moved(session, lambda: loader.checkpoint),
        session.source.read(
            loader.checkpoint,
            streams,
            limits=limits,
            up_to=up_to,
            bookmarks=lambda stream: session.warehouse.bookmarks(session.group, stream),
        ) as reader,
        ahead(_batches(session, reader, up_to=up_to), is_eager=lambda batch: _is_large(batch, limits)) as batches,
    ):
        reader.acknowledge(loader.checkpoint.position)
        idle = _Idle(session, since=session.clock.monotonic())
        for batch in batches:
            if session.stop.is_set():
                break
            finished = up_to is not None and batch.up_to.covers(up_to)
            if not batch.is_empty or batch.covered_counts:
                event = loader.load(batch)
                pumped.add(event.counts, transactions=event.transaction_count)
                idle.restart()
                on_loaded(event.counts)
            elif finished or idle.due(batch):
                loader.idle(batch.up_to)
                idle.restart()
            else:
                continue
            pumped.checkpoint = loader.checkpoint
            reader.acknowledge(loader.checkpoint.position)
            if finished:
                break


class _Idle:
    """Decides when a position that moved without changes is worth a checkpoint: after some seconds or bytes of log."""

    def __init__(self, session: Session, *, since: float) -> None:
        self._session = session
        self._since = since
        self._bytes = 0

    def due(self, batch: GroupBatch) -> bool:
        limits = self._session.pipeline.limits
        self._bytes += batch.byte_count
        elapsed = self._session.clock.monotonic() - self._since
        return elapsed >= limits.idle_checkpoint_s or self._bytes >= limits.idle_checkpoint_bytes

    def restart(self) -> None:
        self._since = self._session.clock.monotonic()
        self._bytes = 0


def _readable(session: Session, states: dict[str, StreamState]) -> dict[str, tuple[StreamSpec, Position]]:
    return {spec.name: (spec, states[spec.name].since) for spec in session.specs()}


def _batches(session: Session, reader: LogReader, *, up_to: Position | None) -> Iterator[GroupBatch | None]:
    """The reader's batches, None while there is none; ends behind ``up_to``, or once a stop was asked for."""
    while not session.stop.is_set():
        batch = reader.next(WAIT_S)
        yield batch
        if batch is not None and up_to is not None and batch.up_to.covers(up_to):
            return


def _is_large(batch: GroupBatch, limits: BatchLimits) -> bool:
    """Whether there is so much to do that reading on meanwhile pays; else what is read later is fresher."""
    return batch.row_count * _LARGE_SHARE >= limits.rows or batch.byte_count * _LARGE_SHARE >= limits.bytes


def _back_off(session: Session, failures: int, error: PipelineError) -> None:
    delay_s = min(_FIRST_DELAY_S * 2.0 ** (failures - 1), _LONGEST_DELAY_S)
    session.metrics.record(Retrying(error.where, failures, delay_s, type(error).__name__))
    session.stop.wait(delay_s)
