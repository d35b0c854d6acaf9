"""Positions of sources without a log: instants of looks, in microseconds since 1970.

A position says: what the source showed at this instant is loaded. Batches of one look have positions of their own
between the last look and this one, so that each counts as progress.
"""

from __future__ import annotations

import time

from pipeline.domain.errors import LogLost
from pipeline.domain.position import Position

_PART = "at"
#: Looks are at least so far apart, in microseconds: as many batches fit in between.
_LEAST_APART = 100_000


def position(instant: int) -> Position:
    """The position of an instant."""
    return Position({_PART: instant})


def instant_of(where: Position) -> int:
    """The instant of a position; raises ``LogLost`` for that of another kind of source, from which nobody goes on."""
    instant = where.parts.get(_PART)
    if not isinstance(instant, int):
        raise LogLost(
            "the checkpoint is that of another kind of source",
            hint="Give the source another name, or copy its streams again by resync.",
            case="another_kind",
        )
    return instant


class Instants:
    """Gives instants that only move forward. Where the clock was set back they run ahead of it, in small steps."""

    def __init__(self) -> None:
        self._last = 0

    def pass_by(self, instant: int) -> None:
        """Note an instant that is in use."""
        self._last = max(self._last, instant)

    def next(self) -> int:
        """The instant of a look that begins now."""
        self._last = max(_now(), self._last + _LEAST_APART)
        return self._last

    def now(self) -> int:
        """About the instant of a look that would begin now, without one."""
        return max(_now(), self._last)

    def by_clock(self, instant: int) -> int:
        """The time that is told of an instant: never one that is still to come."""
        return min(instant, _now())


def _now() -> int:
    return time.time_ns() // 1000
