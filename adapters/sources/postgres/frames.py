"""Many frames of the replication protocol as one buffer, read at many places at once.

A frame is an XLogData message: ``w``, start LSN, end LSN and server time, then one pgoutput message (PostgreSQL
documentation, "Streaming Replication Protocol"). What the messages mean is ``pgoutput``'s.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa

from pipeline.domain.errors import SourceError

#: Bytes before the pgoutput message.
HEADER = 25

_XLOG_DATA = ord("w")

#: So that a number may be read at the last byte without leaving the buffer.
_PADDING = bytes(8)


class Frames:
    """Joined frames. ``starts`` and ``ends`` delimit each frame's pgoutput message, ``kinds`` is its first byte."""

    def __init__(self, frames: Sequence[bytes], lengths: np.ndarray) -> None:
        self.data = b"".join([*frames, _PADDING])
        self.buffer = pa.py_buffer(self.data)
        self.bytes = np.frombuffer(self.data, dtype=np.uint8)
        self.ends = np.cumsum(lengths)
        self.starts = self.ends - lengths + HEADER
        if (self.starts >= self.ends).any() or (self.bytes[self.starts - HEADER] != _XLOG_DATA).any():
            raise malformed("a frame is no XLogData message")
        self.kinds = self.bytes[self.starts]
        self._words = np.ndarray((len(self.data) - 3,), dtype=">u4", buffer=self.data, strides=(1,))
        self._longs = np.ndarray((len(self.data) - 7,), dtype=">u8", buffer=self.data, strides=(1,))

    def __len__(self) -> int:
        return len(self.starts)

    def words(self, at: np.ndarray) -> np.ndarray:
        """Unsigned 32-bit numbers at byte offsets, as int64."""
        words: np.ndarray = self._words[at].astype(np.int64)
        return words

    def longs(self, at: np.ndarray) -> np.ndarray:
        """Unsigned 64-bit numbers at byte offsets."""
        longs: np.ndarray = self._longs[at].astype(np.uint64)
        return longs

    def message(self, index: int) -> bytes:
        """The pgoutput message of one frame."""
        return self.data[self.starts[index] : self.ends[index]]


def chunked(frames: Sequence[bytes], *, max_bytes: int, max_count: int) -> Iterator[Frames]:
    """Runs of frames of at most ``max_bytes`` and ``max_count``; a frame larger than that is a run of its own."""
    lengths = np.fromiter(map(len, frames), dtype=np.int64, count=len(frames))
    running = np.cumsum(lengths)
    start = 0
    while start < len(frames):
        before = running[start] - lengths[start]
        fitting = int(np.searchsorted(running, before + max_bytes, side="right"))
        stop = max(start + 1, min(fitting, start + max_count))
        yield Frames(frames[start:stop], lengths[start:stop])
        start = stop


def malformed(what: str) -> SourceError:
    """The error of a log that is not what the protocol's documentation says."""
    return SourceError(
        f"The log cannot be decoded: {what}.",
        hint="Read again from the checkpoint; if it happens again, report it with the server's version.",
    )
