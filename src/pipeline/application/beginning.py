"""Brings a group to where streaming can start: log kept, checkpoint written, every configured stream copied.

What happens from the checkpoint on is ``pump``'s.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

import attrs

from pipeline.application.configured import refuse_unfit
from pipeline.application.copying import copy_stream, create_tables
from pipeline.application.fencing import fenced_if_moved
from pipeline.application.session import Session
from pipeline.domain.checkpoint import Checkpoint, Phase, StreamState
from pipeline.domain.errors import SourceRejected
from pipeline.domain.stream import StreamSpec
from pipeline.ports.source import LogStatus, Snapshot
from pipeline.ports.warehouse import target_of


def ready(session: Session, *, resync: Collection[str] = ()) -> Checkpoint:
    """Begin the group if it was never begun, copy streams that are new, interrupted or named in ``resync``, and
    switch modes that were changed. Returns the checkpoint to stream from.

    Raises ``LogLost`` when the source no longer holds the log from the checkpoint on.
    """
    session.specs(resync)
    session.warehouse.setup(session.group)
    checkpoint = session.warehouse.checkpoint(session.group)
    if checkpoint is None:
        refuse_unfit(session, {})
        return _begin(session)
    read = checkpoint
    with fenced_if_moved(session, lambda: read):
        session.source.check(read)
    states = session.warehouse.states(session.group)
    refuse_unfit(session, states)
    checkpoint = _forget_removed(session, checkpoint, states)
    checkpoint = _switch_modes(session, checkpoint, states)
    missing = missing_streams(session, states, resync=resync)
    session.source.prepare(session.specs())
    if missing:
        with session.source.snapshot(missing, epoch=checkpoint.epoch) as snapshot:
            checkpoint = _copy(session, snapshot, missing, checkpoint=checkpoint, states=states)
    return checkpoint


def missing_streams(
    session: Session, states: Mapping[str, StreamState], *, resync: Collection[str] = ()
) -> tuple[StreamSpec, ...]:
    """The configured streams that have to be copied: new, never finished, or asked for."""
    return tuple(
        spec
        for spec in session.specs()
        if spec.name in resync or spec.name not in states or states[spec.name].phase is not Phase.STREAMING
    )


def begin_again(session: Session) -> Checkpoint:
    """Start over after the source lost its log: a new log, a higher epoch, every stream copied again."""
    previous = session.warehouse.checkpoint(session.group)
    session.source.forget()
    if previous is None:
        return ready(session)
    session.source.prepare(session.specs())
    epoch = previous.epoch + 1
    states = session.warehouse.states(session.group)
    # First of all: whenever this run dies, no stream may count as one that can go on from the new log.
    previous = _note_gaps(session, previous, states.values())
    with session.source.begin(session.specs(), epoch=epoch) as snapshot:
        checkpoint = Checkpoint(
            group=session.group,
            position=snapshot.position,
            load=previous.load + 1,
            epoch=epoch,
            at=session.clock.now(),
        )
        session.warehouse.reset(previous, checkpoint)
        checkpoint = _switch_modes(session, checkpoint, states)
        return _copy(session, snapshot, session.specs(), checkpoint=checkpoint, states=states)


def _begin(session: Session) -> Checkpoint:
    _clear_interrupted(session)
    session.source.prepare(session.specs())
    session.warehouse.intend(session.group)
    with session.source.begin(session.specs(), epoch=0) as snapshot:
        checkpoint = Checkpoint(
            group=session.group, position=snapshot.position, load=0, epoch=0, at=session.clock.now()
        )
        session.warehouse.begin(checkpoint)
        return _copy(session, snapshot, session.specs(), checkpoint=checkpoint, states={})


def _clear_interrupted(session: Session) -> None:
    """Drop a log that an interrupted begin of ours left; refuse one that may be another pipeline's."""
    if session.source.log().status in {LogStatus.MISSING, LogStatus.NONE}:
        return
    if not session.warehouse.intended(session.group):
        raise SourceRejected(
            "the source already keeps a log under this pipeline's name, but this warehouse has no checkpoint of it",
            where=f"source {session.source.name}",
            hint="Point the pipeline at the warehouse that it was loading, give it another slot name, "
            "or drop the slot if nothing else uses it.",
        )
    session.source.forget()


def _copy(
    session: Session,
    snapshot: Snapshot,
    specs: Collection[StreamSpec],
    *,
    checkpoint: Checkpoint,
    states: Mapping[str, StreamState],
) -> Checkpoint:
    for spec in specs:
        known = states.get(spec.name)
        state, checkpoint = create_tables(session, snapshot, spec, checkpoint=checkpoint, known=known)
        checkpoint = copy_stream(session, snapshot, state, checkpoint=checkpoint)
    return checkpoint


def _switch_modes(session: Session, checkpoint: Checkpoint, states: dict[str, StreamState]) -> Checkpoint:
    """Build staging tables anew for modes that were changed; also where a copy follows, since a copy in history mode
    goes on from the versions that are there. Returns the checkpoint to go on from.
    """
    for spec in session.specs():
        state = states.get(spec.name)
        if state is not None and state.mode is not spec.mode:
            states[spec.name] = attrs.evolve(state, mode=spec.mode)
            checkpoint = session.warehouse.rebuild(checkpoint, target_of(states[spec.name]))
    return checkpoint


def _forget_removed(session: Session, checkpoint: Checkpoint, states: dict[str, StreamState]) -> Checkpoint:
    """Note that streams no longer configured have a gap from now on, so that they are copied if they come back."""
    gone = [state for name, state in states.items() if name not in session.pipeline.streams]
    return _note_gaps(session, checkpoint, gone)


def _note_gaps(session: Session, checkpoint: Checkpoint, states: Iterable[StreamState]) -> Checkpoint:
    """Record that these streams have a gap, so that they are copied before they go on; the checkpoint to go on from."""
    streaming = [state for state in states if state.phase is Phase.STREAMING]
    if not streaming:
        return checkpoint
    following = checkpoint.next(checkpoint.position, at=session.clock.now())
    with session.warehouse.load(checkpoint, following) as load:
        for state in streaming:
            load.set_state(attrs.evolve(state, phase=Phase.COPYING))
        load.commit({})
    return following
