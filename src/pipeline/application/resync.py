"""Copies streams again from the source while the position of the others stays."""

from __future__ import annotations

from collections.abc import Collection

from pipeline.application.beginning import begin_again
from pipeline.application.session import Session
from pipeline.application.sync import SyncResult, sync
from pipeline.domain.errors import LogLost


def resync(session: Session, streams: Collection[str], *, accepts_gap: bool = True) -> SyncResult:
    """Copy ``streams`` again and catch up.

    Where the source has lost its log, every stream has a gap: then all of them have to be named, the log is kept
    anew and the epoch rises. Raises ``LogLost`` if only some are named, or where no gap is accepted.
    """
    session.specs(streams)
    try:
        return sync(session, resync=streams)
    except LogLost:
        if not accepts_gap or set(streams) != set(session.pipeline.streams):
            raise
    begin_again(session)
    return sync(session)
