"""A file being read, whose errors of reading are told from those of its content."""

from __future__ import annotations

import io
from typing import Any

from pipeline.domain.errors import PipelineError


class GuardedFile(io.RawIOBase):
    """A file whose errors of reading are told from those of its content: they are kept in ``error``."""

    def __init__(self, raw: Any, translate: Any) -> None:
        super().__init__()
        self._raw = raw
        self._translate = translate
        self.error: PipelineError | None = None
        self.byte_count = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return bool(self._raw.seekable())

    def seek(self, offset: int, whence: int = 0) -> int:
        return int(self._raw.seek(offset, whence))

    def tell(self) -> int:
        return int(self._raw.tell())

    def read(self, size: int = -1) -> bytes:
        """As a file; raises the product's errors."""
        try:
            data: bytes = self._raw.read(size)
        except (ValueError, OverflowError, MemoryError):  # a size that the content names is none
            raise ValueError("a size that is none") from None
        except Exception as error:  # libraries behind fsspec raise what they like
            self.error = self._translate(error)
            raise self.error from None
        self.byte_count += len(data)
        return data

    def readinto(self, buffer: Any) -> int:
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)
