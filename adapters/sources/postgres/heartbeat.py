"""Writes a logical message now and then while nothing comes from the server, so that an idle database advances (H1).

It needs no table: https://www.postgresql.org/docs/current/functions-admin.html#FUNCTIONS-REPLICATION.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from adapters.sources.postgres import sql
from adapters.sources.postgres.connection import Connector, Session
from pipeline.domain.errors import PipelineError, SourceRejected

PREFIX = "rdp_heartbeat"


class Heartbeat:
    """A thread that writes a message whenever ``advanced_at`` lies ``interval_s`` back; it never fails a reader."""

    def __init__(self, connector: Connector, *, interval_s: float, advanced_at: Callable[[], float]) -> None:
        self._session = Session(connector)
        self._interval_s = interval_s
        self._advanced_at = advanced_at
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="postgres-heartbeat", daemon=True)
        if interval_s > 0:
            self._thread.start()

    def close(self) -> None:
        """Stop and disconnect. Safe to call twice."""
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join()
        self._session.close()

    def _run(self) -> None:
        while not self._stopped.wait(self._left()):
            if self._left() > 0:
                continue
            try:
                self._session.rows(sql.EMIT, PREFIX)
            except SourceRejected:
                return  # a role or server that may not write: nothing to be had from trying again
            except PipelineError:
                self._stopped.wait(self._interval_s)  # the reader's own connection tells what is wrong
            self._stopped.wait(min(self._interval_s, 1.0))

    def _left(self) -> float:
        return max(self._advanced_at() + self._interval_s - time.monotonic(), 0.0)
