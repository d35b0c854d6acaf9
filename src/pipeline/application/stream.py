"""The long run of one group: copy what is new, then follow the source until stopped.

Several groups beside each other, and the marts behind them, are ``groups``'s.
"""

from __future__ import annotations

from pipeline.application.beginning import ready
from pipeline.application.copying import Interrupted
from pipeline.application.pump import OnLoaded, pump
from pipeline.application.session import Session
from pipeline.application.sync import SyncResult, result_of


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
