"""Tables that are read once and used later, on disk from a size on, so that memory stays bounded (P11).

What they are read for is their owners' affair.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from typing import IO, Any, Generic, TypeVar, cast, overload

import attrs
import pyarrow as pa

#: An attrs class with a ``table``, which goes to disk; what else it has stays in memory.
Piece = TypeVar("Piece")


@attrs.frozen(eq=False)
class _OnDisk:
    """Where the table of a piece lies in the file, and the piece with an empty one in its place."""

    piece: Any
    start: int
    byte_count: int


class Spool(Sequence[Piece], Generic[Piece]):
    """Pieces in order, read again one at a time; the file has no name and goes with the object, or the process.

    ``memory_bytes`` of them are kept in memory.
    """

    def __init__(self, memory_bytes: int) -> None:
        self._left = memory_bytes
        self._pieces: list[Piece | _OnDisk] = []
        self._file: IO[bytes] | None = None

    def append(self, piece: Piece) -> None:
        """Add a piece at the end."""
        self._left -= _table(piece).nbytes
        self._pieces.append(piece if self._left >= 0 else self._written(piece))

    def __len__(self) -> int:
        return len(self._pieces)

    def __iter__(self) -> Iterator[Piece]:
        for number in range(len(self._pieces)):
            yield self[number]

    @overload
    def __getitem__(self, index: int) -> Piece: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Piece]: ...
    def __getitem__(self, index: int | slice) -> Piece | Sequence[Piece]:
        if isinstance(index, slice):
            return [self[number] for number in range(*index.indices(len(self)))]
        piece = self._pieces[index]
        return self._read(piece) if isinstance(piece, _OnDisk) else piece

    def _written(self, piece: Piece) -> _OnDisk:
        if self._file is None:
            self._file = tempfile.TemporaryFile(prefix="rdp-spool-")  # noqa: SIM115 - it lives as long as the spool
        self._file.seek(0, 2)
        start, table = self._file.tell(), _table(piece)
        with pa.ipc.new_file(pa.PythonFile(self._file, mode="w"), table.schema) as writer:
            writer.write_table(table)
        self._file.flush()
        stub = attrs.evolve(cast(Any, piece), table=table.schema.empty_table())
        return _OnDisk(stub, start, self._file.tell() - start)

    def _read(self, kept: _OnDisk) -> Piece:
        assert self._file is not None  # noqa: S101 - pieces on disk were written there
        self._file.seek(kept.start)
        with pa.ipc.open_file(pa.BufferReader(self._file.read(kept.byte_count))) as reader:
            return cast(Piece, attrs.evolve(kept.piece, table=reader.read_all()))


def _table(piece: object) -> pa.Table:
    return cast(Any, piece).table
