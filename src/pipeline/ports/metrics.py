"""The port to whatever watches a pipeline: logs, progress displays, metrics endpoints."""

from __future__ import annotations

from typing import Protocol

from pipeline.domain.events import Event


class Metrics(Protocol):
    """Receives every event of a run, from any thread, in order per thread.

    It must return quickly, never raise, and never fail a load: what it cannot deliver it drops and counts.
    """

    def record(self, event: Event) -> None:
        """Take note of ``event``."""
        ...
