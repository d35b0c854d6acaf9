"""The long run: copy what is new, then follow the source until stopped, with marts built behind it."""

from __future__ import annotations

from pipeline.application.beginning import ready
from pipeline.application.copying import Interrupted
from pipeline.application.pump import pump
from pipeline.application.session import Session
from pipeline.application.sync import SyncResult, result_of
from pipeline.application.transform import MartRefresher


def stream(session: Session, *, with_transform: bool = True) -> SyncResult:
    """Follow the source until the session's stop is set; a batch in flight is then finished or abandoned (P9)."""
    started = session.clock.monotonic()
    try:
        ready(session)
    except Interrupted:
        return result_of(session, None, started=started)
    if with_transform and session.transformer is not None:
        with MartRefresher(session) as marts:
            pumped = pump(session, on_loaded=marts.note)
    else:
        pumped = pump(session)
    return result_of(session, pumped, started=started)
