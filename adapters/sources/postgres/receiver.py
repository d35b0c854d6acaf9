"""Reads the replication stream in a thread, as fast as it comes into a bounded buffer, and keeps the server informed.

Cutting what comes into parts of transactions is ``segments``' work, decoding rows ``pgoutput``'s, cutting batches
``reader``'s. Nothing is ever confirmed but what was acknowledged (P2).
"""

from __future__ import annotations

import math
import select
import socket
import struct
import threading
import time
from collections import deque
from collections.abc import Callable

from psycopg import OperationalError
from psycopg.pq.abc import PGconn

from adapters.sources.postgres.connection import server_error, sqlstate_of
from adapters.sources.postgres.segments import SEGMENT_BYTES, Cutter, Progress, Segment
from pipeline.domain.errors import LogLost, PipelineError, SourceError, SourceUnreachable

#: Seconds between 1970 and 2000, where PostgreSQL's clock starts.
EPOCH_2000 = 946_684_800

_POLL_S = 1.0
_GOODBYE_S = 2.0

_STATUS_FORM = struct.Struct(">cQQQqB")

#: SQLSTATE of a log file that is gone.
_FILE_GONE = "58P01"


class Receiver:
    """Owns a streaming connection and its thread. ``take`` gives what came, in order."""

    def __init__(
        self,
        link: PGconn,
        *,
        confirmed: int,
        buffer_bytes: int,
        status_s: float,
        silence_s: float,
        where: str,
        on_lost: Callable[[PipelineError], PipelineError],
    ) -> None:
        self._link = link
        self._confirmed = confirmed
        self._reported = -1
        self._buffer_bytes = buffer_bytes
        self._status_s = status_s
        self._silence_s = silence_s
        self._where = where
        self._on_lost = on_lost
        self._items: deque[Segment | Progress] = deque()
        self._buffered = 0
        self._changed = threading.Condition()
        self._error: PipelineError | None = None
        self._stopping = False
        self._wake_in, self._wake_out = socket.socketpair()
        self._wake_in.setblocking(False)
        self._wake_out.setblocking(False)
        self._cutter = Cutter()
        self._sent_at = 0.0
        self._heard_at = time.monotonic()
        self._asked_at, self._asking_since = -math.inf, math.inf
        link.nonblocking = 1
        self._thread = threading.Thread(target=self._run, name="postgres-receiver", daemon=True)
        self._thread.start()

    def take(self, timeout_s: float) -> Segment | Progress | None:
        """The next item, None if there is none within the time. Raises what ended the stream, after all items."""
        with self._changed:
            if not self._items and timeout_s > 0:
                self._changed.wait_for(lambda: self._items or self._error, timeout_s)
            if not self._items:
                if self._error is not None:
                    raise self._error
                return None
            item = self._items.popleft()
            if isinstance(item, Segment):
                was_full = self._buffered >= self._buffer_bytes
                self._buffered -= item.byte_count
                if was_full and self._buffered < self._buffer_bytes:
                    self._wake()
            return item

    def confirm(self, lsn: int) -> None:
        """Report from now on that everything up to ``lsn`` may be forgotten."""
        with self._changed:
            self._confirmed = max(self._confirmed, lsn)
        self._wake()

    @property
    def advanced_at(self) -> float:
        """When the log was last seen to move on, on the monotonic clock; answers to our own questions do not count."""
        return self._cutter.advanced_at

    def close(self) -> None:
        """Report the last confirmation, end the stream and close the connection. Safe to call twice."""
        self._stopping = True
        self._wake()
        self._thread.join()
        self._wake_in.close()
        self._wake_out.close()

    def _wake(self) -> None:
        try:
            self._wake_in.send(b"x")
        except (BlockingIOError, OSError):
            return  # a wake-up is waiting already, or the thread has ended

    def _run(self) -> None:
        try:
            while not self._stopping:
                self._turn()
        except PipelineError as error:
            self._fail(error)
        except OperationalError:
            self._fail(self._on_lost(server_error(None, self._where)))
        except BaseException as error:  # whatever it is: a stream that ended must never look like one that is idle
            self._fail(_unexpected(error, self._where))
        else:
            self._part()
        finally:
            self._link.finish()

    def _turn(self) -> None:
        self._report()
        is_full = self._buffered >= self._buffer_bytes
        if not is_full and self._drain():
            return
        self._wait(is_full=is_full)
        if is_full:
            self._hear()  # nobody listened: silence begins where somebody does
        else:
            self._watch()

    def _drain(self) -> bool:
        """Read what has arrived; whether anything came."""
        get, cutter, count = self._link.get_copy_data, self._cutter, 0
        while True:
            size, view = get(1)
            if size <= 0:
                break
            count += 1
            cutter.accept(view, size)
            if cutter.byte_count >= SEGMENT_BYTES:
                break
        if size < 0:
            raise self._on_lost(self._ended())
        if count:
            self._hear()
            self._publish()
        return count > 0

    def _publish(self) -> None:
        byte_count, fresh = self._cutter.byte_count, self._cutter.take_pieces()
        if not fresh:
            return
        with self._changed:
            items = self._items
            if items and isinstance(items[-1], Progress) and isinstance(fresh[0], Progress):
                items.pop()
            items.extend(fresh)
            self._buffered += byte_count
            self._changed.notify()

    def _report(self) -> None:
        """Tell the server what is durable: when that has changed, when asked, and every now and then (H8)."""
        now = time.monotonic()
        if self._confirmed == self._reported and not self._cutter.is_asked and now - self._sent_at < self._status_s:
            return
        self._send(asks=False)
        self._cutter.is_asked = False

    def _send(self, *, asks: bool) -> None:
        confirmed = self._confirmed
        now_us = int((time.time() - EPOCH_2000) * 1_000_000)
        self._link.put_copy_data(_STATUS_FORM.pack(b"r", confirmed, confirmed, confirmed, now_us, asks))
        self._link.flush()
        self._reported = confirmed
        self._sent_at = time.monotonic()

    def _wait(self, *, is_full: bool) -> None:
        line, wake = self._link.socket, self._wake_out.fileno()
        pending = [line] if self._link.flush() else []
        ready, writable, _ = select.select(
            [wake] if is_full else [line, wake], pending, [], min(_POLL_S, self._status_s)
        )
        if wake in ready:
            self._wake_out.recv(4096)
        if line in ready or writable:
            self._link.consume_input()
        if line in ready:
            self._hear()

    def _watch(self) -> None:
        """Ask for a sign of life, and give the connection up where none comes (H6)."""
        now = time.monotonic()
        silent_s = now - self._heard_at
        # Where this process itself stood still for long, nothing was asked meanwhile.
        if silent_s > self._silence_s and now - self._asking_since > self._silence_s / 4:
            raise SourceUnreachable(
                f"PostgreSQL has said nothing for {silent_s:.0f} s", where=self._where, hint="Check the network."
            )
        if silent_s > self._silence_s / 2 and now - self._asked_at > self._silence_s / 8:
            self._send(asks=True)
            self._asked_at, self._asking_since = now, min(self._asking_since, now)

    def _hear(self) -> None:
        self._heard_at, self._asking_since = time.monotonic(), math.inf

    def _ended(self) -> PipelineError:
        result = self._link.get_result()
        sqlstate = sqlstate_of(result) if result is not None else None
        if sqlstate == _FILE_GONE:
            return LogLost(
                "the server no longer has the log from the checkpoint on", where=self._where, case="invalidated"
            )
        return server_error(sqlstate, self._where)

    def _fail(self, error: PipelineError) -> None:
        with self._changed:
            self._error = error
            self._changed.notify()

    def _part(self) -> None:
        """Leave in good order, so that the server frees the slot and has heard the last confirmation."""
        deadline = time.monotonic() + _GOODBYE_S
        try:
            if self._confirmed != self._reported:
                self._send(asks=False)
            self._link.put_copy_end()
            while time.monotonic() < deadline:
                pending = [self._link.socket] if self._link.flush() else []
                select.select([self._link.socket], pending, [], 0.1)
                self._link.consume_input()
                size = 1
                while size > 0:
                    size, _ = self._link.get_copy_data(1)
                if size < 0:
                    return
        except OperationalError:
            return  # the connection was lost meanwhile: nothing more to say


def _unexpected(error: BaseException, where: str) -> PipelineError:
    kind = type(error).__name__
    return SourceError(f"reading the log failed with {kind}", where=where, hint="Start again.", error_class=kind)
