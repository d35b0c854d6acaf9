"""Proves that staging tables equal their source tables at one position, row by row, and mends those that do not."""

from __future__ import annotations

from collections.abc import Collection, Iterator

import attrs
import pyarrow as pa

from pipeline.application.beginning import ready
from pipeline.application.copying import Interrupted
from pipeline.application.pump import pump
from pipeline.application.session import Session
from pipeline.application.streamload import evolve_state
from pipeline.application.sync import ATTEMPTS
from pipeline.domain.checkpoint import Checkpoint, StreamState
from pipeline.domain.errors import Fenced
from pipeline.domain.events import SchemaChanged
from pipeline.domain.evolution import conform
from pipeline.domain.loading import Target
from pipeline.domain.planning import plan_repair
from pipeline.domain.position import Position
from pipeline.domain.processing import process
from pipeline.domain.stream import Mode, StreamSpec
from pipeline.ports.source import LogStatus, Snapshot
from pipeline.ports.warehouse import Comparison, target_of

#: How often the rows of a source without a log are compared before a difference is told of.
_LOOKS = 3
#: How many keys of a difference are known, and how many of them are told.
_SAMPLE, _SHOWN = 1_000, 20


@attrs.frozen
class StreamVerdict:
    """How one stream compares; ``skipped`` says why it was not compared, None if it was."""

    stream: str
    comparison: Comparison | None
    skipped: str | None = None
    repaired_count: int = 0

    @property
    def is_settled(self) -> bool:
        """Whether there is nothing to compare anew."""
        return self.comparison is None or self.comparison.is_equal

    def shortened(self) -> StreamVerdict:
        """The same with no more keys than a person reads."""
        if self.comparison is None:
            return self
        return attrs.evolve(self, comparison=attrs.evolve(self.comparison, keys=self.comparison.keys[:_SHOWN]))


@attrs.frozen
class VerifyResult:
    """The verdict on each stream, all at one ``position``; None where several groups were compared, each at its own."""

    position: Position | None
    verdicts: tuple[StreamVerdict, ...]
    seconds: float

    @property
    def is_equal(self) -> bool:
        """Whether every stream compared is equal, or was made equal."""
        return all(
            verdict.comparison is None or verdict.comparison.is_equal or verdict.repaired_count > 0
            for verdict in self.verdicts
        )


def verify(session: Session, streams: Collection[str] | None = None, *, repair: bool = False) -> VerifyResult:
    """Open a snapshot of the source, catch up to exactly its position, and compare every row.

    A source without a log shows rows as they are when they are read: one that changes between the catching up and the
    comparison differs. So streams that differ are compared anew, and only what persists is told.

    With ``repair``, rows that differ are loaded again as they are in the source, as changes of their own. Raises
    ``Interrupted`` when stopped before the verdict, ``Fenced`` when another run moves the checkpoint meanwhile.
    """
    started = session.clock.monotonic()
    specs = session.specs(streams)
    epoch = ready(session).epoch
    looks = _LOOKS if session.source.log().status is LogStatus.NONE else 1
    verdicts: dict[str, StreamVerdict] = {}
    for left in reversed(range(looks)):
        differing = [spec for spec in specs if spec.name not in verdicts or not verdicts[spec.name].is_settled]
        with session.source.snapshot(differing, epoch=epoch) as snapshot:
            pump(session, up_to=snapshot.position, attempts=ATTEMPTS)
            position = _checkpoint_at(session, snapshot.position).position
            for spec in differing:
                before = verdicts.get(spec.name)
                verdicts[spec.name] = _verdict(session, snapshot, spec, before=before, repair=repair and not left)
        if all(verdict.is_settled for verdict in verdicts.values()):
            break
    told = tuple(verdicts[spec.name].shortened() for spec in specs)
    return VerifyResult(position, told, session.clock.monotonic() - started)


def _verdict(
    session: Session, snapshot: Snapshot, spec: StreamSpec, *, before: StreamVerdict | None, repair: bool
) -> StreamVerdict:
    if spec.mode is Mode.APPEND:
        return StreamVerdict(spec.name, None, skipped="append keeps every change, not a copy of the table")
    state = _followed(session, snapshot, spec)
    compared = _compared(state)
    comparison = session.warehouse.compare(compared, _rows(session, snapshot, state), sample=_SAMPLE)
    _checkpoint_at(session, snapshot.position)
    if before is not None and before.comparison is not None and not comparison.persists(before.comparison):
        comparison = Comparison(comparison.compared_count, 0, 0, 0)
    repaired = 0
    if repair and not comparison.is_equal:
        wanted, extra = session.warehouse.differences(compared, _rows(session, snapshot, state))
        repaired = _repair(session, snapshot, state, wanted=wanted, extra=extra)
    return StreamVerdict(spec.name, comparison, repaired_count=repaired)


def _followed(session: Session, snapshot: Snapshot, spec: StreamSpec) -> StreamState:
    """The stream's state, its tables in line with the snapshot's schema: of a column that was changed since, without a
    row written, the values could not be compared.
    """
    known = session.warehouse.states(session.group)[spec.name]
    incoming = (snapshot.schemas[spec.name],)
    state, migration, phrases = evolve_state(known, incoming, spec=spec, warehouse=session.warehouse)
    if migration is None:
        return known
    checkpoint = session.warehouse.migrate(_checkpoint_at(session, snapshot.position), [migration])
    with session.warehouse.load(checkpoint, checkpoint.next(checkpoint.position, at=session.clock.now())) as load:
        load.set_state(state)
        load.commit({})
    session.metrics.record(SchemaChanged(spec.name, state.schema_version, phrases))
    return state


def _compared(state: StreamState) -> Target:
    """The target less the columns that the source has dropped: what they hold has nothing to be compared with."""
    present = [column for column in state.schema.columns if not column.dropped]
    return target_of(state, schema=state.schema.with_columns(present))


def _rows(session: Session, snapshot: Snapshot, state: StreamState) -> Iterator[pa.Table]:
    names = _compared(state).schema.names
    spec = session.pipeline.streams[state.stream]
    for batch in snapshot.read(spec.name):
        if session.stop.is_set():
            raise _stopped(session)
        masked = process(batch, masks=spec.masks)
        yield conform(masked.table, masked.schema, state.schema).select(names)


def _repair(session: Session, snapshot: Snapshot, state: StreamState, *, wanted: pa.Table, extra: pa.Table) -> int:
    """Load what differs with sequences of the snapshot's position, newer than every change before it."""
    checkpoint = _checkpoint_at(session, snapshot.position)
    now = session.clock.now()
    step = plan_repair(
        target_of(state),
        wanted,
        extra,
        epoch=checkpoint.epoch,
        commit=_commit(snapshot.position),
        commit_at=now,
    )
    with session.warehouse.load(checkpoint, checkpoint.next(checkpoint.position, at=now)) as load:
        load.apply(step)
        load.commit({state.stream: step.counts})
    return int(wanted.num_rows + extra.num_rows)


def _checkpoint_at(session: Session, position: Position) -> Checkpoint:
    """The checkpoint, which has to lie at exactly the snapshot's position, or other rows would be compared."""
    checkpoint = session.warehouse.checkpoint(session.group)
    if checkpoint is not None and checkpoint.position == position:
        return checkpoint
    if session.stop.is_set():
        raise _stopped(session)
    raise Fenced(
        "another run moved the checkpoint, so the rows to compare are no longer those of one position",
        where=f"group {session.group}",
        hint="Stop the other run of this pipeline, then verify again.",
    )


def _stopped(session: Session) -> Interrupted:
    return Interrupted("stopped before every row was compared", where=f"group {session.group}", hint="Verify again.")


def _commit(position: Position) -> int:
    """The number that orders a consistent point among commits: the largest numeric component."""
    return max(part for part in position.parts.values() if isinstance(part, int))
