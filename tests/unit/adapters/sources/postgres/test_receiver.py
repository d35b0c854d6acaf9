"""The receiver's thread: whatever ends it is told to whoever takes, and only silence is taken for silence."""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections import deque
from contextlib import closing

import pytest

from adapters.sources.postgres.receiver import Receiver
from adapters.sources.postgres.segments import Progress, Segment
from pipeline.domain.errors import SourceError, SourceUnreachable
from tests.support.pglog import xlog

#: When a line that says nothing is given up, and something that takes longer.
SILENCE_S, LONGER_S = 0.5, 1.0


class Line:
    """Stands for libpq's connection, which fails or stalls as no server can make it."""

    def __init__(
        self, error: BaseException | None = None, *, stall_s: float = 0.0, first_s: float = 0.0, answers: bool = False
    ) -> None:
        self._error = error
        self._stall_s = stall_s
        self._first_s = first_s
        self._answers = answers
        self._ends = socket.socketpair(type=socket.SOCK_DGRAM)  # keeps messages apart
        self._ends[0].setblocking(False)
        self._read: deque[bytes] = deque()
        self._is_ended = False
        self.socket = self._ends[0].fileno()
        self.nonblocking = 0
        self.is_finished = threading.Event()

    def say(self, message: bytes) -> None:
        """Have a message come over the line."""
        self._ends[1].send(message)

    def consume_input(self) -> None:
        stall_s, self._stall_s = self._stall_s, 0.0
        time.sleep(stall_s)
        try:
            self._read.append(self._ends[0].recv(65536))
        except BlockingIOError:
            return

    def get_copy_data(self, asynchronous: int) -> tuple[int, memoryview]:
        if self._error is not None:
            raise self._error
        if self._read:
            message = self._read.popleft()
            return len(message), memoryview(message)
        return -1 if self._is_ended else 0, memoryview(b"")

    def put_copy_data(self, message: bytes) -> None:
        """Taken; the last byte asks for an answer."""
        if self._answers and message[-1]:
            self.say(keepalive(1))

    def put_copy_end(self) -> None:
        self._is_ended = True

    def flush(self) -> int:
        first_s, self._first_s = self._first_s, 0.0
        time.sleep(first_s)
        return 0

    def finish(self) -> None:
        self.is_finished.set()
        for end in self._ends:
            end.close()


def receiving(
    line: Line, *, buffer_bytes: int = 1024, silence_s: float = SILENCE_S, status_s: float = 10.0
) -> Receiver:
    return Receiver(
        line,  # type: ignore[arg-type] # what the receiver uses of a PGconn
        confirmed=0,
        buffer_bytes=buffer_bytes,
        status_s=status_s,
        silence_s=silence_s,
        where="example.com:5432/shop",
        on_lost=lambda error: error,
    )


def keepalive(lsn: int) -> bytes:
    """A sign of life: everything up to there was sent."""
    return struct.pack(">cQqB", b"k", lsn, 0, 0)


def commit(lsn: int) -> bytes:
    """The end of a transaction."""
    return xlog(struct.pack(">cBQQq", b"C", 0, lsn, lsn + 8, 0))


def commit_taken(receiver: Receiver) -> int:
    """The LSN of the transaction that comes next."""
    item = receiver.take(60.0)
    assert isinstance(item, Segment)
    assert item.commit is not None
    return item.commit.lsn


@pytest.mark.parametrize("error", [MemoryError("canary"), ValueError("canary")])
def test_a_stream_that_ends_for_an_unforeseen_reason_does_not_look_idle(error: Exception) -> None:
    line = Line(error)
    receiver = receiving(line, silence_s=60.0)
    with pytest.raises(SourceError, match=type(error).__name__) as raised:
        receiver.take(10.0)
    assert "canary" not in str(raised.value)
    assert raised.value.__context__ is None
    receiver.close()
    assert line.is_finished.is_set()


def test_a_full_buffer_that_nobody_takes_from_is_no_silence() -> None:
    line = Line()
    line.say(commit(1))
    with closing(receiving(line, buffer_bytes=1)) as receiver:
        time.sleep(LONGER_S)
        line.say(commit(2))
        assert [commit_taken(receiver), commit_taken(receiver)] == [1, 2]


def test_what_is_read_late_because_we_stalled_was_said_all_the_same() -> None:
    line = Line(stall_s=LONGER_S)
    line.say(commit(1))
    with closing(receiving(line)) as receiver:
        assert commit_taken(receiver) == 1


def test_nobody_is_given_up_who_was_not_asked_because_we_stood_still() -> None:
    line = Line(first_s=LONGER_S, answers=True)
    with closing(receiving(line)) as receiver:
        assert receiver.take(60.0) == Progress(1)
        line.say(commit(2))
        assert commit_taken(receiver) == 2


def test_who_does_not_answer_is_given_up_however_often_we_report() -> None:
    with closing(receiving(Line(), status_s=0.05)) as receiver, pytest.raises(SourceUnreachable, match="said nothing"):
        receiver.take(60.0)
