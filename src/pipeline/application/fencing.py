"""Tells a log that is lost from one that only looks so because another run moved on meanwhile (P4)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from pipeline.application.session import Session
from pipeline.domain.checkpoint import Checkpoint
from pipeline.domain.errors import Fenced, LogLost


@contextmanager
def fenced_if_moved(session: Session, ours: Callable[[], Checkpoint]) -> Iterator[None]:
    """Around a use of the source's log: ``LogLost`` becomes ``Fenced`` if the warehouse's checkpoint is not ``ours``
    by then, since the source has rightly moved beyond it.
    """
    try:
        yield
    except LogLost:
        if session.warehouse.checkpoint(session.group) == ours():
            raise
        raise Fenced(
            "another run moved the checkpoint meanwhile",
            where=f"group {session.group}",
            hint="Let it finish, then start again.",
        ) from None
