"""Signals: the first SIGINT or SIGTERM asks to stop, the second aborts.

What stopping means is each use case's affair (P9).
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from pipeline.application.session import Stop

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Aborted(KeyboardInterrupt):
    """Somebody asked twice, or asked a command that has nothing to finish."""


@contextmanager
def stopping(*, graceful: bool, stop: Stop | None = None) -> Iterator[Stop]:
    """Handle signals inside the context. ``graceful``: the first one sets the stop that is yielded, which is ``stop``
    if given; otherwise it aborts at once, by ``Aborted`` in the main thread. While an abort cleans up, one more signal
    is forgiven, since leaving then would leave processes behind; the next one ends the process.
    """
    stop = threading.Event() if stop is None else stop
    aborted = threading.Event()
    reactions = iter(_reactions(stop, aborted, graceful=graceful))

    def handle(number: int, _: FrameType | None) -> None:
        reaction = next(reactions, None)
        if reaction is None:
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)
        else:
            reaction()

    previous = {number: signal.signal(number, handle) for number in _SIGNALS}
    try:
        yield stop
    except Exception:
        if aborted.is_set():
            raise Aborted from None  # a library that was interrupted in its work made an error of its own out of it
        raise
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def _reactions(stop: Stop, aborted: Stop, *, graceful: bool) -> list[Callable[[], None]]:
    def ask() -> None:
        stop.set()
        _say("stopping after the batch in flight; once more to abort")

    def abort() -> None:
        stop.set()
        aborted.set()
        raise Aborted

    def forgive() -> None:
        _say("cleaning up; once more to leave at once")

    return [ask, abort, forgive] if graceful else [abort, forgive]


def _say(line: str) -> None:
    # Not by print: the signal may have come in the middle of one.
    os.write(2, f"\n{line}\n".encode())
