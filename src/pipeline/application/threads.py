"""Threads that can be waited for though an interruption comes in between.

Before Python 3.13 an exception that a signal raises within ``Thread.join`` makes the interpreter take the thread for
ended though it runs (https://github.com/python/cpython/issues/90882): nobody waits for it any more, not even the end of
the process, which cuts it off in the midst of a library's work. An event can be waited for again.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

_POLL_S = 0.5


class Workthread(threading.Thread):
    """A thread that is waited for by ``wait`` and ``outlast`` instead of ``join``; no daemon, so that the process does
    not end before it.
    """

    def __init__(self, work: Callable[[], None], *, name: str | None = None) -> None:
        super().__init__(name=name, daemon=False)
        self._work = work
        self._ended = threading.Event()

    def run(self) -> None:
        """Do the work."""
        try:
            self._work()
        finally:
            self._ended.set()

    def start_or(self, end: Callable[[], None]) -> None:
        """Start it; where that is interrupted, ``end`` it: it may have come to life, and nobody will wait for it."""
        try:
            self.start()
        except BaseException:
            end()
            raise

    def wait(self, timeout_s: float | None = None) -> bool:
        """Whether it has ended, waiting for it. One that has not come to life yet is not waited for: whoever could not
        finish starting it has to see to it that it finds nothing to do.
        """
        return self.ident is None or self._ended.wait(timeout_s)

    def outlast(self, meanwhile: Callable[[], None] = lambda: None) -> None:
        """Wait until it has ended, calling ``meanwhile`` now and then; what interrupts the wait is raised afterwards,
        since what is closed next is what the thread works with.
        """
        interruption: BaseException | None = None
        while True:
            try:
                while not self.wait(_POLL_S):
                    meanwhile()
                break
            except BaseException as error:
                interruption = error
        if interruption is not None:
            raise interruption
