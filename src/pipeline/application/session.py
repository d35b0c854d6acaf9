"""What every use case works with: one group of a pipeline and the adapters it was wired to.

Building a session is done in entrypoints.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Protocol

import attrs

from pipeline.domain.errors import ConfigError
from pipeline.domain.stream import PipelineSpec, StreamSpec
from pipeline.ports.clock import Clock
from pipeline.ports.metrics import Metrics
from pipeline.ports.notifier import Notifier
from pipeline.ports.source import Source
from pipeline.ports.transformer import Transformer
from pipeline.ports.warehouse import Warehouse


class Stop(Protocol):
    """The wish to stop, as ``threading.Event`` has it; set by a signal handler (P9)."""

    def is_set(self) -> bool:
        """Whether somebody asked to stop."""
        ...

    def set(self) -> None:
        """Ask to stop."""
        ...

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until somebody asks, or the time is over; tell whether somebody did."""
        ...


@attrs.frozen
class Session:
    """One group of a pipeline, ready to run. Use cases never close what is in it; whoever built it does."""

    pipeline: PipelineSpec
    source: Source
    warehouse: Warehouse
    clock: Clock
    metrics: Metrics
    notifier: Notifier
    transformer: Transformer | None
    stop: Stop

    @property
    def group(self) -> str:
        """The group's name."""
        return self.pipeline.group

    def specs(self, streams: Collection[str] | None = None) -> tuple[StreamSpec, ...]:
        """The configured streams, or those named; raises ``ConfigError`` listing unknown names."""
        configured = self.pipeline.streams
        if streams is None:
            return tuple(configured.values())
        unknown = sorted(set(streams) - set(configured))
        if unknown:
            raise ConfigError(
                f"no stream called {', '.join(unknown)}",
                where=f"pipeline {self.pipeline.name}",
                hint=f"Its streams are: {', '.join(sorted(configured))}.",
            )
        return tuple(configured[name] for name in sorted(set(streams)))


#: Streams of one group, None for all of them.
Chosen = tuple[Session, tuple[str, ...] | None]


def chosen(sessions: Sequence[Session], streams: Collection[str] | None) -> tuple[Chosen, ...]:
    """The groups that have these streams (None: all of all); raises ``ConfigError`` listing unknown names."""
    if streams is None:
        return tuple((session, None) for session in sessions)
    known = {name for session in sessions for name in session.pipeline.streams}
    unknown = sorted(set(streams) - known)
    if unknown:
        raise ConfigError(
            f"no stream called {', '.join(unknown)}",
            where=f"pipeline {sessions[0].pipeline.name}",
            hint=f"Its streams are: {', '.join(sorted(known))}.",
        )
    wanted = ((session, tuple(name for name in session.pipeline.streams if name in streams)) for session in sessions)
    return tuple((session, names) for session, names in wanted if names)
