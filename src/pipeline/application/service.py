"""Tells whether the service that runs ``stream`` for a pipeline is well, from outside of it."""

from __future__ import annotations

import attrs

from pipeline.application.session import Session
from pipeline.domain.finding import Finding, Level
from pipeline.ports.source import LogStatus


@attrs.frozen
class ServiceSeen:
    """Whether somebody reads the log, how much of it the source holds back for us in bytes, and the age of the
    checkpoint in seconds, which a service that is well renews even when idle. ``finding`` is there if it is not well.
    """

    is_reading: bool
    held_bytes: int | None
    checkpoint_age_s: float | None
    finding: Finding | None = None


def watch_service(session: Session, *, limit_s: float) -> ServiceSeen:
    """Look at source and checkpoint, changing nothing; a checkpoint older than ``limit_s`` seconds is too old."""
    log = session.source.log()
    checkpoint = session.warehouse.checkpoint(session.group)
    age_s = None if checkpoint is None else (session.clock.now() - checkpoint.at).total_seconds()
    is_reading = log.status is LogStatus.ACTIVE
    return ServiceSeen(is_reading, log.held_bytes, age_s, _finding(session, is_reading, age_s, limit_s))


def _finding(session: Session, is_reading: bool, age_s: float | None, limit_s: float) -> Finding | None:
    where = f"source {session.source.name}"
    start = f"Start it: python -m entrypoints.cli stream {session.pipeline.name} --no-transform"
    if not is_reading:
        return Finding(Level.ERROR, "service", "no service reads the log", where, f"{start}. Or let a run take over.")
    if age_s is None or age_s > limit_s:
        age = "was never written" if age_s is None else f"is {age_s:.0f} s old"
        return Finding(Level.ERROR, "service", f"the checkpoint of the service {age}", where, "Look at its log.")
    return None
