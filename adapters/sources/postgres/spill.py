"""Puts the pieces of a large transaction on disk as Arrow files and gives them back one at a time (P11).

When to spill is ``reader``'s decision.
"""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import overload

import attrs
import pyarrow as pa

from pipeline.domain.change import ChangeBatch, Misfit
from pipeline.domain.schema import StreamSchema

_PREFIX = "spill-"

_MISFITS = pa.schema([("column", pa.string()), ("reason", pa.string()), ("row", pa.int64()), ("text", pa.string())])


@attrs.frozen(eq=False)
class _Written:
    stream: str
    schema: StreamSchema
    path: Path
    row_count: int
    misfits: tuple[tuple[str, str, int], ...]


class Spill(Sequence[ChangeBatch]):
    """The pieces of one transaction, written in order and read lazily; its folder is removed by ``remove``."""

    def __init__(self, work_folder: Path) -> None:
        self._folder = work_folder / f"{_PREFIX}{uuid.uuid4().hex}"
        self._folder.mkdir(parents=True, mode=0o700)
        self._pieces: list[_Written] = []

    def add(self, piece: ChangeBatch) -> None:
        """Write a piece behind those before."""
        path = self._folder / f"{len(self._pieces)}.arrow"
        with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, piece.table.schema) as writer:
            writer.write_table(piece.table)
        misfits = tuple((misfit.column, misfit.reason, len(misfit.rows)) for misfit in piece.misfits)
        if misfits:
            _write_misfits(path.with_suffix(".misfits"), piece.misfits)
        self._pieces.append(_Written(piece.stream, piece.schema, path, piece.row_count, misfits))

    def __len__(self) -> int:
        return len(self._pieces)

    @overload
    def __getitem__(self, index: int) -> ChangeBatch: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[ChangeBatch]: ...

    def __getitem__(self, index: int | slice) -> ChangeBatch | Sequence[ChangeBatch]:
        if isinstance(index, slice):
            return [_read(piece) for piece in self._pieces[index]]
        return _read(self._pieces[index])

    def schemas(self) -> dict[str, tuple[StreamSchema, ...]]:
        """The schemas of each stream's pieces in order, without reading them."""
        return schemas_of([(piece.stream, piece.schema) for piece in self._pieces])

    def remove(self) -> None:
        """Delete the files. Safe to call twice."""
        shutil.rmtree(self._folder, ignore_errors=True)


def schemas_of(pieces: Sequence[tuple[str, StreamSchema]]) -> dict[str, tuple[StreamSchema, ...]]:
    """The schemas of each stream in order, each run of equal ones once."""
    found: dict[str, list[StreamSchema]] = {}
    for stream, schema in pieces:
        known = found.setdefault(stream, [])
        if not known or known[-1] != schema:
            known.append(schema)
    return {stream: tuple(schemas) for stream, schemas in found.items()}


def sweep(work_folder: Path) -> None:
    """Remove what a run that was killed left behind. Only the single reader of a slot may call it."""
    for folder in work_folder.glob(f"{_PREFIX}*"):
        shutil.rmtree(folder, ignore_errors=True)


def _write_misfits(path: Path, misfits: Sequence[Misfit]) -> None:
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, _MISFITS) as writer:
        for misfit in misfits:
            count = len(misfit.rows)
            columns = [pa.repeat(misfit.column, count), pa.repeat(misfit.reason, count)]
            columns += [misfit.rows.cast(pa.int64()), misfit.texts.cast(pa.string())]
            writer.write_batch(pa.RecordBatch.from_arrays(columns, schema=_MISFITS))


def _read(written: _Written) -> ChangeBatch:
    # Mapped, not read: pages of the file come and go with the batch.
    with pa.memory_map(str(written.path)) as source:
        table = pa.ipc.open_file(source).read_all()
    return ChangeBatch(written.stream, written.schema, table, tuple(_misfits(written)))


def _misfits(written: _Written) -> list[Misfit]:
    if not written.misfits:
        return []
    with pa.OSFile(str(written.path.with_suffix(".misfits")), "rb") as source:
        batches = pa.ipc.open_file(source)
        return [
            Misfit(column, batches.get_batch(index).column(2), batches.get_batch(index).column(3), reason)
            for index, (column, reason, _) in enumerate(written.misfits)
        ]
