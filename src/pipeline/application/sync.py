"""A bounded run: copy what is new, catch up to where the source was at the start, build the marts behind it."""

from __future__ import annotations

from collections.abc import Collection

import attrs

from pipeline.application.beginning import ready
from pipeline.application.copying import Interrupted
from pipeline.application.pump import Pumped, pump
from pipeline.application.session import Session
from pipeline.application.transform import transform_changed
from pipeline.domain.checkpoint import Checkpoint
from pipeline.domain.counts import StreamCounts
from pipeline.ports.transformer import TransformResult

#: How often in a row an unreachable system is tried before a bounded run gives up.
ATTEMPTS = 5


@attrs.frozen
class SyncResult:
    """Where a run ended and what it moved from the log; ``transformed`` is None where no marts were built.

    ``checkpoint`` is None if the run was stopped before anything was begun, or where several groups ran, whose
    ``checkpoints`` are told by group.
    """

    checkpoint: Checkpoint | None
    counts: dict[str, StreamCounts]
    batch_count: int
    transaction_count: int
    seconds: float
    transformed: TransformResult | None = None
    stopped: bool = False
    checkpoints: dict[str, Checkpoint] = attrs.field(factory=dict)


def sync(session: Session, *, resync: Collection[str] = (), with_transform: bool = True) -> SyncResult:
    """Run once: on return the warehouse holds at least every change committed before the call (J5), unless stopped.

    Marts are built where any stream changed since they were last built.
    """
    started = session.clock.monotonic()
    try:
        ready(session, resync=resync)
    except Interrupted:
        return result_of(session, None, started=started)
    pumped = pump(session, up_to=session.source.mark(), attempts=ATTEMPTS)
    transformed = None
    if with_transform and session.transformer is not None and not session.stop.is_set():
        transformed = transform_changed([session])
    return result_of(session, pumped, started=started, transformed=transformed)


def result_of(
    session: Session, pumped: Pumped | None, *, started: float, transformed: TransformResult | None = None
) -> SyncResult:
    """The result of a run that began at ``started`` (monotonic) and moved ``pumped``."""
    checkpoint = pumped.checkpoint if pumped else session.warehouse.checkpoint(session.group)
    return SyncResult(
        checkpoint=checkpoint,
        counts=pumped.counts if pumped else {},
        batch_count=pumped.batch_count if pumped else 0,
        transaction_count=pumped.transaction_count if pumped else 0,
        seconds=session.clock.monotonic() - started,
        transformed=transformed,
        stopped=session.stop.is_set(),
        checkpoints={session.group: checkpoint} if checkpoint else {},
    )
