"""Signals: the first SIGINT or SIGTERM asks to stop, the second aborts.

What stopping means is each use case's affair (P9).
"""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from pipeline.application.session import Stop

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Aborted(KeyboardInterrupt):
    """Somebody asked twice, or asked a command that has nothing to finish."""


@contextmanager
def stopping(*, graceful: bool) -> Iterator[Stop]:
    """Handle signals inside the context. ``graceful``: the first one sets the stop that is yielded; otherwise it
    aborts at once. Raises ``Aborted`` in the main thread.
    """
    stop = threading.Event()

    def handle(_: int, __: FrameType | None) -> None:
        if stop.is_set() or not graceful:
            raise Aborted
        stop.set()
        sys.stderr.write("stopping after the batch in flight; once more to abort\n")

    previous = {number: signal.signal(number, handle) for number in _SIGNALS}
    try:
        yield stop
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
