"""Events of a run as log lines.

How lines are rendered, where they go and what is bound to them is decided where logging is configured.
"""

from __future__ import annotations

import contextlib
from typing import Protocol, assert_never

import attrs

from pipeline.domain.counts import StreamCounts
from pipeline.domain.events import (
    BatchApplied,
    CopyAdvanced,
    CopyFinished,
    CopyStarted,
    Event,
    IdleCheckpoint,
    Retrying,
    SchemaChanged,
    TransformFinished,
)


class EventLogger(Protocol):
    """What is needed of a logger: structlog's and the like have it."""

    def debug(self, event: str, **facts: object) -> object:
        """Write one line of level debug."""
        ...

    def info(self, event: str, **facts: object) -> object:
        """Write one line of level info."""
        ...

    def warning(self, event: str, **facts: object) -> object:
        """Write one line of level warning."""
        ...

    def error(self, event: str, **facts: object) -> object:
        """Write one line of level error."""
        ...


class LogMetrics:
    """Writes an event as one line: state changes as info, steps on the way as debug, trouble above."""

    def __init__(self, logger: EventLogger) -> None:
        self._logger = logger
        self.dropped_count = 0

    def record(self, event: Event) -> None:
        """Write ``event``; what the logger cannot take is counted in ``dropped_count``."""
        try:
            self._write(event)
        except Exception:  # the port forbids raising into a load
            self.dropped_count += 1

    def _write(self, event: Event) -> None:
        logger = self._logger
        match event:
            case CopyStarted():
                logger.info("copy started", stream=event.stream, estimated_count=event.estimated_count)
            case CopyAdvanced():
                logger.debug("copy advanced", stream=event.stream, row_count=event.row_count)
            case CopyFinished():
                logger.info("copy finished", **attrs.asdict(event))
            case BatchApplied():
                logger.info("batch applied", **_batch_facts(event))
            case IdleCheckpoint():
                logger.debug("idle checkpoint written", group=event.group, at=event.at.isoformat())
            case SchemaChanged():
                logger.info(
                    "schema changed",
                    stream=event.stream,
                    schema_version=event.schema_version,
                    changes=list(event.changes),
                )
            case TransformFinished():
                write = logger.info if event.error is None else logger.error
                write(
                    "transform finished",
                    models=event.models,
                    tests=event.tests,
                    seconds=event.seconds,
                    error=event.error,
                )
            case Retrying():
                logger.warning(
                    "retry scheduled",
                    system=event.system,
                    attempt=event.attempt,
                    delay_s=event.delay_s,
                    error=event.error,
                )
            case _:
                assert_never(event)


class CompositeMetrics:
    """Hands every event to several metrics; one that fails does not keep it from the others."""

    def __init__(self, *parts: _Recorder) -> None:
        self._parts = parts

    def record(self, event: Event) -> None:
        """Hand ``event`` on, in the order given."""
        for part in self._parts:
            with contextlib.suppress(Exception):
                part.record(event)


class _Recorder(Protocol):
    def record(self, event: Event) -> None: ...


def _batch_facts(event: BatchApplied) -> dict[str, object]:
    total = sum(event.counts.values(), StreamCounts())
    return {
        "group": event.group,
        "load": event.load,
        "streams": sorted(event.counts),
        "read_count": total.read_count,
        "changelog_count": total.changelog_count,
        "quarantined_count": total.quarantined_count,
        "covered_count": total.covered_count,
        "discarded_count": total.discarded_count,
        "transaction_count": event.transaction_count,
        "byte_count": event.byte_count,
        "seconds": event.seconds,
        "lag_s": (event.at - event.last_commit_at).total_seconds() if event.last_commit_at else None,
    }
