"""The content of a file: decompressed, and for texts as UTF-8 whatever its encoding, read piece by piece.

Errors of the content become ``Unreadable``; those of the file system pass as they are.
"""

from __future__ import annotations

import codecs
import io
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pyarrow as pa

from adapters.sources.files.guarded import GuardedFile

_CODECS = {"gzip": "gzip", "zstd": "zstd", "bz2": "bz2"}
_MEMORY_BYTES = 32 * 1024 * 1024
#: So much is read at once; of what is unpacked less, since a piece that breaks off is lost.
_PIECE_BYTES, _PACKED_PIECE_BYTES = 256 * 1024, 32 * 1024
_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)

#: A byte that is none of the encoding becomes the character of this plane with its number, so that lines and values
#: stay whole until its row is set apart.
_PLANE = 0xF0000
ODD_BYTES = "[\U000f0080-\U000f00ff]"
_ODD_BYTES = re.compile(ODD_BYTES)


class Unreadable(Exception):
    """A file that is not what it should be; the reason is a phrase without values."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@contextmanager
def unpacked(file: GuardedFile, compression: str | None) -> Iterator[Any]:
    """The decompressed bytes as something to ``read``. Around the reading: what its errors mean."""
    with judging(file):
        if file.seekable():
            empty = not file.read(1)
            file.seek(0)
            file.byte_count = 0
            if empty:
                raise Unreadable("empty file")
        if compression is None:
            yield file
        else:
            with pa.CompressedInputStream(pa.PythonFile(file, mode="r"), _CODECS[compression]) as stream:
                yield stream


@contextmanager
def judging(file: GuardedFile) -> Iterator[None]:
    """Turn what a reader of formats raises into ``Unreadable``, unless the file system was at fault."""
    try:
        yield
    except (pa.ArrowException, OSError, EOFError, ValueError, KeyError, IndexError, OverflowError, TypeError) as error:
        if file.error is not None:
            raise file.error from None
        raise Unreadable(f"content that cannot be read ({type(error).__name__})") from None


@contextmanager
def seekable(stream: Any) -> Iterator[Any]:
    """A stream as one that can be sought in; a compressed one is unpacked to disk."""
    if isinstance(stream, GuardedFile):
        yield stream
        return
    with tempfile.SpooledTemporaryFile(max_size=_MEMORY_BYTES) as spooled:
        shutil.copyfileobj(stream, spooled, 1024 * 1024)
        spooled.seek(0)
        yield spooled


class Text(io.RawIOBase):
    """A stream's text as UTF-8 without a byte order mark. ``has_odd_bytes`` tells whether some were not of the
    encoding; without one, UTF-16 is known by its mark, and all else is taken for UTF-8.
    """

    def __init__(self, stream: Any, encoding: str, *, piece_bytes: int | None = None) -> None:
        super().__init__()
        self._stream = stream
        is_packed = not isinstance(stream, GuardedFile)
        self._piece_bytes = piece_bytes or (_PACKED_PIECE_BYTES if is_packed else _PIECE_BYTES)
        self._error: Exception | None = None
        first = bytes(stream.read(self._piece_bytes))
        name = encoding or ("utf-16" if first[:2] in _UTF16 else "utf-8")
        name = "utf-8-sig" if codecs.lookup(name).name == "utf-8" else name
        self._is_utf8 = name == "utf-8-sig"
        self._decoder = codecs.getincrementaldecoder(name)(errors="rdp_odd_bytes")
        self._ready = self._recoded(first, final=not first)
        self._ended = not first

    has_odd_bytes = False

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        """The next bytes, fewer than ``size`` only at the end, or before bytes that cannot be read: what there is up to
        there is given first, the error by the next call.
        """
        parts, count = [self._ready], len(self._ready)
        if self._error is not None and not count:
            raise self._error
        while not self._ended and self._error is None and (size < 0 or count < size):
            try:
                piece = bytes(self._stream.read(self._piece_bytes))
            except (pa.ArrowException, OSError, EOFError) as error:
                if not count:
                    raise
                self._error = error
                break
            self._ended = not piece
            parts.append(self._decoded(piece, final=self._ended))
            count += len(parts[-1])
        data = parts[0] if len(parts) == 1 else b"".join(parts)
        if size < 0 or count <= size:
            self._ready = b""
            return data
        self._ready = data[size:]
        return data[:size]

    def unread(self, data: bytes) -> None:
        """Give bytes back, to be read once more."""
        self._ready = data + self._ready

    def _decoded(self, piece: bytes, *, final: bool) -> bytes:
        if self._is_utf8 and piece.isascii() and not self._decoder.getstate()[0]:
            return piece
        return self._recoded(piece, final=final)

    def _recoded(self, piece: bytes, *, final: bool) -> bytes:
        text = self._decoder.decode(piece, final)
        if not text.isascii() and not self.has_odd_bytes:
            self.has_odd_bytes = _ODD_BYTES.search(text) is not None
        return text.encode("utf-8", "replace")


def legible(text: str, *, limit: int) -> str:
    """A text for people, odd bytes as escapes, at most about ``limit`` characters."""
    shown = _ODD_BYTES.sub(lambda match: f"\\x{ord(match[0]) - _PLANE:02x}", text[:limit])
    return shown if len(text) <= limit else f"{shown}…"


def _odd_bytes(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeDecodeError):
        raise error
    odd = error.object[error.start : error.end]
    return "".join(chr(_PLANE + byte) if byte >= 0x80 else chr(byte) for byte in odd), error.end


codecs.register_error("rdp_odd_bytes", _odd_bytes)
