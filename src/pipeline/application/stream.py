"""The long run: copy what is new, then follow the source until stopped, with marts built behind it."""

from __future__ import annotations

from pipeline.application.beginning import ready
from pipeline.application.copying import Interrupted
from pipeline.application.pump import OnLoaded, pump
from pipeline.application.session import Session
from pipeline.application.sync import SyncResult, result_of
from pipeline.application.transform import MartRefresher


def stream(session: Session, *, with_transform: bool = True) -> SyncResult:
    """Follow the source until the session's stop is set, building marts behind it."""
    if not with_transform or session.transformer is None:
        return follow(session)
    with MartRefresher([session]) as marts:
        return follow(session, on_loaded=marts.note)


def follow(session: Session, *, on_loaded: OnLoaded = lambda _: None) -> SyncResult:
    """Follow the source until the session's stop is set; a batch in flight is then finished or abandoned (P9).

    ``on_loaded`` is as in ``pump``.
    """
    started = session.clock.monotonic()
    try:
        ready(session)
    except Interrupted:
        return result_of(session, None, started=started)
    return result_of(session, pump(session, on_loaded=on_loaded), started=started)
