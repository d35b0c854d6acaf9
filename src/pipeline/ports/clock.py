"""The port to time, so that rules about time can be tested without waiting."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol


class Clock(Protocol):
    """Time and waiting. Use cases take it; the domain gets instants as arguments."""

    def now(self) -> datetime:
        """The current instant, UTC and time-zone aware."""
        ...

    def monotonic(self) -> float:
        """Seconds from an arbitrary start, never going back; for durations."""
        ...

    def sleep(self, seconds: float) -> None:
        """Wait."""
        ...
