"""A real signal that raises in the main thread, as Ctrl-C does, but by a signal that no test runner uses itself."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Interruption(BaseException):
    """What the signal raises."""


@contextmanager
def interrupted(*, after_s: float, times: int = 1) -> Iterator[None]:
    """Send the signal ``times`` times, each ``after_s`` after the one before."""

    def handle(*_: object) -> None:
        raise Interruption

    def send() -> None:
        for _ in range(times):
            if ended.wait(after_s):
                return
            os.kill(os.getpid(), signal.SIGUSR1)

    ended = threading.Event()
    previous = signal.signal(signal.SIGUSR1, handle)
    sender = threading.Thread(target=send)
    sender.start()
    try:
        yield
    finally:
        ended.set()
        sender.join()
        signal.signal(signal.SIGUSR1, previous)
