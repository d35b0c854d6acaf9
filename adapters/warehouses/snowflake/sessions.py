"""The sessions that a warehouse keeps, one for each thread, opened when needed and again when one was lost.

What a session can do is ``session``'s.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TypeVar

from adapters.warehouses.snowflake.errors import is_transient
from adapters.warehouses.snowflake.options import SnowflakeOptions
from adapters.warehouses.snowflake.session import Session, open_session
from adapters.warehouses.snowflake.statement import Statement
from pipeline.domain.errors import PipelineError, WarehouseUnreachable

_Result = TypeVar("_Result")

#: How long a transaction of ours, left open by a session that was lost, may go on before it counts as stuck.
SETTLE_S = 60.0
_POLL_S = 0.5

#: A session that was not used for so long is not used again: the service ends it after four hours, which a load would
#: notice only after it uploaded everything.
EXPIRES_S = 3 * 3600.0

_OPEN_TRANSACTIONS = Statement("SHOW TRANSACTIONS")


class Sessions:
    """Opens, keeps and replaces sessions. A thread gets one of its own, since a transaction is its session's: nothing
    that is asked meanwhile in another thread becomes part of it, sees what it did, or ends it.
    """

    def __init__(self, options: SnowflakeOptions, *, pipeline: str = "", expires_s: float = EXPIRES_S) -> None:
        self.options = options
        self._expires_s = expires_s
        self._pipeline = pipeline
        self._kept: dict[threading.Thread, Session] = {}
        self._lost: set[int] = set()
        self._turn = threading.Lock()

    def get(self) -> Session:
        """The thread's session, signed in. Before a new one is handed out, transactions that lost ones left open are
        ended, so that what is read next is not changed by them any more.
        """
        kept = self._kept.get(threading.current_thread())
        if kept is not None and not kept.is_usable:
            self.forget(in_transaction=True)  # it could not even roll back
            kept = None
        elif kept is not None and kept.idle_s >= self._expires_s:
            self.forget()
            kept = None
        return kept or self._open()

    def at_hand(self) -> Session | None:
        """The thread's session, if it has one that is usable: for what is not worth signing in."""
        kept = self._kept.get(threading.current_thread())
        return kept if kept is not None and kept.is_usable else None

    def call(self, work: Callable[[Session], _Result]) -> _Result:
        """Do something that may be done twice: once more with a new session if the one at hand turns out to be lost."""
        try:
            return work(self.get())
        except PipelineError as error:
            if not is_transient(error):
                raise
            self.forget()
        return work(self.get())

    def begin(self, statement: Statement) -> Session:
        """The thread's session with a transaction begun by the statement."""

        def begin(session: Session) -> Session:
            session.execute(statement)
            return session

        return self.call(begin)

    def abort(self, name: str) -> None:
        """Abort transactions of that name that other sessions have open."""
        session = self.get()
        for row in session.named_rows(_OPEN_TRANSACTIONS):
            if row["name"] == name and int(row["session"]) != session.id:
                session.execute(_abort(int(row["id"])))

    def forget(self, *, in_transaction: bool = False) -> None:
        """Part with the thread's session; ``in_transaction`` says that it may have left a transaction open."""
        with self._turn:
            session = self._kept.pop(threading.current_thread(), None)
            if session is not None and in_transaction:
                self._lost.add(session.id)
        if session is not None:
            session.close()

    def close(self) -> None:
        """Sign out, in every thread's name; safe to call twice."""
        self._close_those(lambda thread: True)

    def _open(self) -> Session:
        self._close_those(lambda thread: not thread.is_alive())
        session = open_session(self.options, pipeline=self._pipeline)
        try:
            self._settle(session)
        except BaseException:
            session.close()
            raise
        with self._turn:
            self._kept[threading.current_thread()] = session
        return session

    def _close_those(self, is_done: Callable[[threading.Thread], bool]) -> None:
        with self._turn:
            sessions = [self._kept.pop(thread) for thread in list(self._kept) if is_done(thread)]
        for session in sessions:
            session.close()

    def _settle(self, session: Session) -> None:
        """Abort what sessions that were lost left open, and wait until it is gone: a COMMIT may be under way."""
        deadline = time.monotonic() + SETTLE_S
        while lost := frozenset(self._lost):
            rows = session.named_rows(_OPEN_TRANSACTIONS)
            open_ones = [int(row["id"]) for row in rows if int(row["session"]) in lost]
            if not open_ones:
                self._lost -= lost
                return
            if time.monotonic() >= deadline:
                raise WarehouseUnreachable(
                    "a transaction of a lost session is still open",
                    where=self.options.place,
                    hint="Abort it with SYSTEM$ABORT_TRANSACTION, or wait.",
                )
            for number in open_ones:
                session.execute(_abort(number))
            time.sleep(_POLL_S)


def _abort(number: int) -> Statement:
    return Statement(f"SELECT SYSTEM$ABORT_TRANSACTION({number})")
