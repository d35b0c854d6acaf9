"""A bounded run of one group: copy what is new, catch up to where the source was at the start.

Several groups beside each other, and the marts behind them, are ``groups``'s.
"""

from __future__ import annotations

from collections.abc import Collection

import attrs

from pipeline.application.beginning import ready
from pipeline.application.copying import Interrupted
from pipeline.application.pump import Pumped, pump
from pipeline.application.session import Session
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


def sync(session: Session, *, resync: Collection[str] = ()) -> SyncResult:
    """Run once: on return the warehouse holds at least every change committed before the call (J5), unless stopped."""
    started = session.clock.monotonic()
    try:
        ready(session, resync=resync)
    except Interrupted:
        return result_of(session, None, started=started)
    return result_of(session, pump(session, up_to=session.source.mark(), attempts=ATTEMPTS), started=started)


def result_of(session: Session, pumped: Pumped | None, *, started: float) -> SyncResult:
    """The result of a run that began at ``started`` (monotonic) and moved ``pumped``."""
    checkpoint = pumped.checkpoint if pumped else session.warehouse.checkpoint(session.group)
    return SyncResult(
        checkpoint=checkpoint,
        counts=pumped.counts if pumped else {},
        batch_count=pumped.batch_count if pumped else 0,
        transaction_count=pumped.transaction_count if pumped else 0,
        seconds=session.clock.monotonic() - started,
        stopped=session.stop.is_set(),
        checkpoints={session.group: checkpoint} if checkpoint else {},
    )
