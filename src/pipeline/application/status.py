"""Tells where a pipeline is, from the warehouse alone, so that it works while the source is away."""

from __future__ import annotations

from datetime import datetime

import attrs

from pipeline.application.session import Session
from pipeline.domain.checkpoint import Checkpoint
from pipeline.ports.warehouse import target_of


@attrs.frozen
class StreamStatus:
    """One stream: its phase and mode, and how many keys wait in quarantine."""

    stream: str
    table: str
    mode: str
    phase: str
    schema_version: int
    waiting_count: int


@attrs.frozen
class StatusResult:
    """The checkpoint (None: never begun, or several groups), the checkpoints of all groups that were begun, the
    streams, and the latest loads, newest first.
    """

    pipeline: str
    warehouse: str
    checkpoint: Checkpoint | None
    at: datetime
    streams: tuple[StreamStatus, ...]
    loads: tuple[dict[str, object], ...]
    checkpoints: dict[str, Checkpoint] = attrs.field(factory=dict)

    @property
    def checkpoint_age_s(self) -> float | None:
        """Seconds since the checkpoint was written, of several the oldest."""
        return max(
            ((self.at - checkpoint.at).total_seconds() for checkpoint in self.checkpoints.values()), default=None
        )


def status(session: Session, *, load_limit: int = 10) -> StatusResult:
    """Read checkpoint, stream states, quarantine and load audit."""
    checkpoint = session.warehouse.checkpoint(session.group)
    states = session.warehouse.states(session.group) if checkpoint is not None else {}
    loads = session.warehouse.audit(session.group, limit=load_limit) if checkpoint is not None else []
    return StatusResult(
        pipeline=session.pipeline.name,
        warehouse=session.warehouse.name,
        checkpoint=checkpoint,
        at=session.clock.now(),
        streams=tuple(
            StreamStatus(
                stream=state.stream,
                table=f"staging.{state.table}",
                mode=state.mode.value,
                phase=state.phase.value,
                schema_version=state.schema_version,
                waiting_count=len(session.warehouse.waiting(target_of(state)).keys),
            )
            for _, state in sorted(states.items())
        ),
        loads=tuple(loads),
        checkpoints={session.group: checkpoint} if checkpoint else {},
    )
