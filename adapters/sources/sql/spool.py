"""Rows that are read once and used later: on disk, so that memory stays bounded and no transaction stays open (P11).

What they are read for is ``extractor``'s and the dialects' affair.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator

import pyarrow as pa

from adapters.sources.sql.database import Fetched
from pipeline.domain.change import Misfit


class RowSpool:
    """Pieces in the order they came; the file has no name and goes with the object, or the process."""

    def __init__(self, pieces: Iterable[Fetched] = ()) -> None:
        self._file = tempfile.TemporaryFile(prefix="rdp-sql-")  # noqa: SIM115 - it lives as long as the spool
        self._writer: pa.ipc.RecordBatchFileWriter | None = None
        self._misfits: list[tuple[Misfit, ...]] = []
        self.byte_count = 0
        for piece in pieces:
            self.add(piece)

    def add(self, piece: Fetched) -> None:
        """Write a piece behind those before it."""
        if self._writer is None:
            self._writer = pa.ipc.new_file(pa.PythonFile(self._file, mode="w"), piece.table.schema)
        for batch in piece.table.combine_chunks().to_batches():
            self._writer.write_batch(batch)
            self._misfits.append(piece.misfits)
        self.byte_count += piece.table.nbytes

    def read(self) -> Iterator[Fetched]:
        """The pieces; nothing can be added any more."""
        if self._writer is None:
            return
        self._writer.close()
        self._file.flush()
        self._file.seek(0)
        with pa.ipc.open_file(pa.PythonFile(self._file, mode="r")) as reader:
            for number, misfits in enumerate(self._misfits):
                yield Fetched(pa.Table.from_batches([reader.get_batch(number)]), misfits)
