"""The receiver's thread: whatever ends it is told to whoever takes."""

from __future__ import annotations

import socket
import threading

import pytest

from adapters.sources.postgres.receiver import Receiver
from pipeline.domain.errors import SourceError


class Line:
    """Stands for libpq's connection, which fails as no server can make it fail."""

    def __init__(self, error: BaseException) -> None:
        self._error = error
        self._ends = socket.socketpair()
        self.socket = self._ends[0].fileno()
        self.nonblocking = 0
        self.is_finished = threading.Event()

    def get_copy_data(self, asynchronous: int) -> tuple[int, memoryview]:
        raise self._error

    def put_copy_data(self, message: bytes) -> None:
        """Taken."""

    def flush(self) -> int:
        return 0

    def finish(self) -> None:
        self.is_finished.set()
        for end in self._ends:
            end.close()


@pytest.mark.parametrize("error", [MemoryError("canary"), ValueError("canary")])
def test_a_stream_that_ends_for_an_unforeseen_reason_does_not_look_idle(error: Exception) -> None:
    line = Line(error)
    receiver = Receiver(
        line,  # type: ignore[arg-type] # what the receiver uses of a PGconn
        confirmed=0,
        buffer_bytes=1024,
        status_s=10.0,
        silence_s=60.0,
        where="example.com:5432/shop",
        on_lost=lambda error: error,
    )
    with pytest.raises(SourceError, match=type(error).__name__) as raised:
        receiver.take(10.0)
    assert "canary" not in str(raised.value)
    assert raised.value.__context__ is None
    receiver.close()
    assert line.is_finished.is_set()
