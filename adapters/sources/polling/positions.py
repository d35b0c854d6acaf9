"""Positions of sources without a log: instants of looks, in microseconds since 1970.

A position says: what the source showed at this instant is loaded. Batches of one look have positions of their own
between the last look and this one, so that each counts as progress.
"""

from __future__ import annotations

import time

from pipeline.domain.errors import SourceRejected
from pipeline.domain.position import Position

_PART = "at"
#: Looks are at least so far apart, in microseconds: as many batches fit in between.
_LEAST_APART = 1_000_000
#: A clock that is further behind is wrong.
_TOLERANCE = 300 * 1_000_000


def position(instant: int) -> Position:
    """The position of an instant."""
    return Position({_PART: instant})


def instant_of(where: Position) -> int:
    """The instant of a position; raises ``SourceRejected`` for that of another kind of source."""
    instant = where.parts.get(_PART)
    if not isinstance(instant, int):
        raise SourceRejected(
            "the checkpoint is that of another kind of source",
            hint="Give the source another name, or copy its streams again by resync.",
        )
    return instant


class Instants:
    """Gives instants that only move forward, whatever the clock does."""

    def __init__(self) -> None:
        self._last = 0

    def pass_by(self, instant: int, *, where: str) -> None:
        """Note an instant that is in use; raises ``SourceRejected`` if it lies in the future."""
        ahead = instant - _now()
        if ahead > _TOLERANCE:
            raise SourceRejected(
                f"the checkpoint was written {ahead / 1e6:,.0f} s in the future, by the clock of this machine",
                where=where,
                hint="Set the clock right, then start again.",
            )
        self._last = max(self._last, instant)

    def next(self) -> int:
        """The instant of a look that begins now."""
        self._last = max(_now(), self._last + _LEAST_APART)
        return self._last


def _now() -> int:
    return time.time_ns() // 1000
