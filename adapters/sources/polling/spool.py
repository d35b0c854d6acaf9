"""Pieces of a batch that has to be loaded as a whole, on disk from a size on, so that memory stays bounded (P11).

Which pieces belong together is ``look``'s to say.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from typing import IO, overload

import attrs
import pyarrow as pa

from pipeline.domain.change import ChangeBatch, Misfit
from pipeline.domain.schema import StreamSchema


@attrs.frozen(eq=False)
class _OnDisk:
    """Where a piece lies in the file, and what of it stays in memory."""

    stream: str
    schema: StreamSchema
    misfits: tuple[Misfit, ...]
    start: int
    byte_count: int


class Spool(Sequence[ChangeBatch]):
    """Batches in order, read again one at a time; the file has no name and goes with the object, or the process.

    ``memory_bytes`` of them are kept in memory.
    """

    def __init__(self, memory_bytes: int) -> None:
        self._left = memory_bytes
        self._pieces: list[ChangeBatch | _OnDisk] = []
        self._file: IO[bytes] | None = None

    def append(self, batch: ChangeBatch) -> None:
        """Add a batch at the end."""
        self._left -= batch.table.nbytes
        self._pieces.append(batch if self._left >= 0 else self._written(batch))

    def __len__(self) -> int:
        return len(self._pieces)

    def __iter__(self) -> Iterator[ChangeBatch]:
        for number in range(len(self._pieces)):
            yield self[number]

    @overload
    def __getitem__(self, index: int) -> ChangeBatch: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[ChangeBatch]: ...
    def __getitem__(self, index: int | slice) -> ChangeBatch | Sequence[ChangeBatch]:
        if isinstance(index, slice):
            return [self[number] for number in range(*index.indices(len(self)))]
        piece = self._pieces[index]
        return piece if isinstance(piece, ChangeBatch) else self._read(piece)

    def _written(self, batch: ChangeBatch) -> _OnDisk:
        if self._file is None:
            self._file = tempfile.TemporaryFile(prefix="rdp-look-")  # noqa: SIM115 - it lives as long as the spool
        self._file.seek(0, 2)
        start = self._file.tell()
        with pa.ipc.new_file(pa.PythonFile(self._file, mode="w"), batch.table.schema) as writer:
            writer.write_table(batch.table)
        self._file.flush()
        return _OnDisk(batch.stream, batch.schema, batch.misfits, start, self._file.tell() - start)

    def _read(self, piece: _OnDisk) -> ChangeBatch:
        assert self._file is not None  # noqa: S101 - pieces on disk were written there
        self._file.seek(piece.start)
        with pa.ipc.open_file(pa.BufferReader(self._file.read(piece.byte_count))) as reader:
            return ChangeBatch(piece.stream, piece.schema, reader.read_all(), piece.misfits)
