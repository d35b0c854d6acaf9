"""Cuts what the replication stream sends into parts of transactions, without decoding rows.

Message formats: https://www.postgresql.org/docs/current/protocol-replication.html.
"""

from __future__ import annotations

import struct
import time

import attrs

#: What a message costs us beside its bytes: the object, its header and its place in a list.
FRAME_OVERHEAD = 96

SEGMENT_BYTES = 1024 * 1024
_HEADER = 25

_XLOG = ord("w")
_KEEPALIVE = ord("k")
_BEGIN = ord("B")
_COMMIT = ord("C")
_MESSAGE = ord("M")
_ROWS = frozenset(b"IUDT")

_KEEPALIVE_FORM = struct.Struct(">cQqB")
_BEGIN_FORM = struct.Struct(">Qq")
_COMMIT_FORM = struct.Struct(">BQQq")


def row_message(view: memoryview) -> bool:
    """Whether a message of the stream is the change of a row, or a truncation."""
    return view[0] == _XLOG and view[_HEADER] in _ROWS


def keepalive_end(view: memoryview) -> int:
    """Up to where a keepalive says that everything was sent; -1 of any other message."""
    return int(_KEEPALIVE_FORM.unpack_from(view)[1]) if view[0] == _KEEPALIVE else -1


@attrs.define(slots=True)
class Commit:
    """The end of a transaction: LSN of its commit record, LSN after it, and when, in microseconds since 2000."""

    lsn: int
    end: int
    at_us: int


@attrs.define(slots=True)
class Segment:
    """Part of one transaction: ``first`` is the commit LSN, announced by its Begin, in its first part, else None;
    ``commit`` is there in its last part.
    """

    frames: list[bytes]
    byte_count: int
    row_count: int
    first: int | None
    commit: Commit | None


@attrs.define(slots=True)
class Progress:
    """Everything before ``lsn`` has been sent, and no transaction is open."""

    lsn: int


class Cutter:
    """Takes messages in order; ``pieces`` are those that are complete and not yet handed on, ``byte_count`` their size.

    ``is_asked`` tells that the server wants to hear of us, ``advanced_at`` when the log was last seen to move on, on
    the monotonic clock.
    """

    def __init__(self) -> None:
        self.pieces: list[Segment | Progress] = []
        self.byte_count = 0
        self.is_asked = False
        self.advanced_at = time.monotonic()
        self._end = 0
        self._open = _Open()

    def take_pieces(self) -> list[Segment | Progress]:
        """Hand on what is complete."""
        pieces, self.pieces, self.byte_count = self.pieces, [], 0
        return pieces

    def accept(self, view: memoryview, size: int) -> None:
        """Take one message; it is copied where it is kept."""
        kind = view[0]
        if kind == _KEEPALIVE:
            _, end, _, asks = _KEEPALIVE_FORM.unpack_from(view)
            self.is_asked = self.is_asked or bool(asks)
            if end > self._end:
                self._end, self.advanced_at = end, time.monotonic()
            self._progress(end)
            return
        if kind != _XLOG:
            return
        message = view[_HEADER]
        if message == _MESSAGE:
            # Never a row (C8). Outside of a transaction it tells that everything before it was sent.
            self._progress(int.from_bytes(view[1:9]))
            return
        opened = self._open
        opened.frames.append(bytes(view))
        opened.byte_count += size + FRAME_OVERHEAD
        if message in _ROWS:
            opened.row_count += 1
        elif message == _BEGIN:
            opened.first = _BEGIN_FORM.unpack_from(view, _HEADER + 1)[0]
            opened.is_open = True
        elif message == _COMMIT:
            _, lsn, end, at_us = _COMMIT_FORM.unpack_from(view, _HEADER + 1)
            self.advanced_at = time.monotonic()
            self._cut(Commit(lsn, end, at_us))
            opened.is_open = False
            return
        if opened.byte_count >= SEGMENT_BYTES:
            self._cut(None)

    def _progress(self, lsn: int) -> None:
        if self._open.is_open:
            return
        if self.pieces and isinstance(self.pieces[-1], Progress):
            self.pieces.pop()
        self.pieces.append(Progress(lsn))

    def _cut(self, commit: Commit | None) -> None:
        opened = self._open
        self.pieces.append(Segment(opened.frames, opened.byte_count, opened.row_count, opened.first, commit))
        self.byte_count += opened.byte_count
        opened.frames, opened.byte_count, opened.row_count, opened.first = [], 0, 0, None


@attrs.define(slots=True)
class _Open:
    frames: list[bytes] = attrs.field(factory=list)
    byte_count: int = 0
    row_count: int = 0
    first: int | None = None
    is_open: bool = False
