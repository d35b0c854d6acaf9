"""The machine's own clock.

Tests bring a clock of their own; nothing else in the project asks the system for the time.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime


class SystemClock:
    """The ``Clock`` of real runs."""

    def now(self) -> datetime:
        """The current instant, UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Seconds from an arbitrary start."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Wait; a negative time is none."""
        time.sleep(max(seconds, 0.0))
