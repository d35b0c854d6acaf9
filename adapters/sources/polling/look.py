"""One look at a stream: what an extraction gives becomes changes, by what was known before.

Which rows changed is ``pipeline.domain.detection``'s to say; positions and batches are ``reader``'s.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import assert_never

import attrs
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from adapters.sources.polling.changerows import taken
from adapters.sources.polling.extractor import Extraction, Extractor, Kind, Rows, Window
from pipeline.domain.bookmarks import NO_BOOKMARKS, bookmarks, plain_bookmarks
from pipeline.domain.canonical import decode_values
from pipeline.domain.change import Misfit, Operation
from pipeline.domain.detection import ROW, KnownRows, refuse_vanished
from pipeline.domain.errors import SourceError
from pipeline.domain.schema import StreamSchema
from pipeline.domain.stream import StreamSpec
from pipeline.domain.valuetext import literals, one_array

#: The bookmarks of a window: the highest value of its cursor, and where the next look begins.
CURSOR, SINCE = "cursor", "since"


@attrs.frozen(eq=False)
class Piece:
    """Rows with the operation of each, and what to remember with them; ``rows`` may be keys alone."""

    rows: pa.Table
    ops: np.ndarray
    bookmarks: pa.Table
    misfits: tuple[Misfit, ...] = ()
    byte_count: int = 0


@attrs.define(eq=False)
class StreamMemory:
    """What is known of one stream while it is read: its rows by fingerprint, and its other bookmarks."""

    rows: KnownRows
    others: dict[str, str]

    @classmethod
    def of(cls, kept: pa.Table) -> StreamMemory:
        """What the stream's bookmarks tell."""
        ours = pc.starts_with(kept["name"], pattern=ROW)
        return cls(KnownRows(kept.filter(ours)), plain_bookmarks(kept.filter(pc.invert(ours))))

    def note(self, changes: Mapping[str, str | None]) -> pa.Table:
        """Take note of other bookmarks; those that are new, as a table."""
        told = {name: value for name, value in changes.items() if self.others.get(name) != value}
        for name, value in told.items():
            if value is None:
                self.others.pop(name, None)
            else:
                self.others[name] = value
        return bookmarks(told) if told else NO_BOOKMARKS

    def table(self) -> pa.Table:
        """All of it as bookmarks."""
        return pa.concat_tables([self.rows.bookmarks(), bookmarks(self.others)])


def look(extractor: Extractor, spec: StreamSpec, schema: StreamSchema, memory: StreamMemory) -> Iterator[Piece]:
    """What is new at the stream since ``memory``, which moves along."""
    extraction = extractor.extract(spec, schema, dict(memory.others))
    where = f"source {extractor.name}, stream {spec.name}"
    match extraction.kind:
        case Kind.CHANGES:
            pieces = _changes(extraction, schema, memory)
        case Kind.IMAGE:
            pieces = _image(extraction, schema, memory, where=where, max_vanished=extractor.max_vanished(spec))
        case Kind.REPLACEMENT:
            pieces = _replacement(extraction, schema, memory)
        case _:
            assert_never(extraction.kind)
    yield from pieces
    if extraction.all_keys is not None:
        for keys in extraction.all_keys():
            memory.rows.see(keys, schema)
        yield _gone(schema, memory, where=where, max_vanished=extractor.max_vanished(spec))
    memory.rows.settle()


def _changes(extraction: Extraction, schema: StreamSchema, memory: StreamMemory) -> Iterator[Piece]:
    if extraction.window is None:
        for rows in extraction.rows:
            yield _plain(rows, schema, memory) if extraction.all_keys is None else _sifted(rows, schema, memory)
        return
    cursor = Cursor(extraction.window, schema, learns=extraction.all_keys is None)
    for rows in extraction.rows:
        piece = cursor.take(rows, schema, memory) if extraction.all_keys is None else _sifted(rows, schema, memory)
        cursor.advance(rows.table)
        if extraction.window.is_ordered:
            piece = attrs.evolve(piece, bookmarks=pa.concat_tables([piece.bookmarks, memory.note(cursor.place())]))
        yield piece
    yield Piece(
        schema.arrow().empty_table(),
        np.empty(0, np.int8),
        pa.concat_tables([memory.note(cursor.place()), cursor.window_rows(memory)]),
    )


def _image(
    extraction: Extraction, schema: StreamSchema, memory: StreamMemory, *, where: str, max_vanished: float
) -> Iterator[Piece]:
    for rows in extraction.rows:
        yield _sifted(rows, schema, memory)
    if memory.rows.has_repeated:
        raise SourceError(
            "a key was shown twice in one reading, so rows may have been left out; nothing was taken for gone",
            where=where,
            hint="The source changed while it was read page by page: it is read again by the next run. If its keys are "
            "not unique, name other key columns.",
            case="repeated",
        )
    yield _gone(schema, memory, where=where, max_vanished=max_vanished)


def _replacement(extraction: Extraction, schema: StreamSchema, memory: StreamMemory) -> Iterator[Piece]:
    truncate = Piece(schema.arrow().empty_table(), np.array([Operation.TRUNCATE], np.int8), NO_BOOKMARKS)
    yield attrs.evolve(truncate, rows=pa.table([pa.nulls(1, kind) for kind in schema.arrow().types], schema.arrow()))
    for rows in extraction.rows:
        yield _plain(rows, schema, memory)


def _gone(schema: StreamSchema, memory: StreamMemory, *, where: str, max_vanished: float) -> Piece:
    keys, forgotten = memory.rows.vanished(schema)
    refuse_vanished(keys.num_rows, len(memory.rows), max_share=max_vanished, where=where)
    memory.rows.forget_unseen()
    return Piece(keys, np.full(keys.num_rows, Operation.DELETE, np.int8), forgotten)


def _sifted(rows: Rows, schema: StreamSchema, memory: StreamMemory) -> Piece:
    found = memory.rows.sift(rows.table, schema)
    told = found.new | found.changed
    ops = np.where(found.new, Operation.INSERT, Operation.UPDATE)[told]
    return Piece(
        rows.table.filter(pa.array(told)),
        ops,
        pa.concat_tables([found.bookmarks, memory.note(rows.bookmarks)]),
        taken(rows.misfits, told),
        rows.byte_count,
    )


def _plain(rows: Rows, schema: StreamSchema, memory: StreamMemory) -> Piece:
    op = Operation.UPDATE if schema.key else Operation.INSERT
    ops = np.full(rows.table.num_rows, op, np.int8)
    table = rows.table
    if rows.deleted is not None and rows.deleted.num_rows:
        gone = pa.concat_tables([schema.arrow().empty_table(), rows.deleted], promote_options="default")
        table = pa.concat_tables([table, gone.select(schema.names)])
        ops = np.concatenate([ops, np.full(rows.deleted.num_rows, Operation.DELETE, np.int8)])
    return Piece(table, ops, memory.note(rows.bookmarks), rows.misfits, rows.byte_count)


class Cursor:
    """How far a look has come by the cursor column, and the rows that the next one may show again (``learns``)."""

    def __init__(self, window: Window, schema: StreamSchema, *, learns: bool) -> None:
        self._window = window
        self._type = schema.column(window.column).type
        self._learns = learns
        self._highest: pa.Scalar | None = None
        self._shown: list[tuple[pa.ChunkedArray, np.ndarray, np.ndarray]] = []

    def take(self, rows: Rows, schema: StreamSchema, memory: StreamMemory) -> Piece:
        """The rows that are new or changed."""
        found = memory.rows.compare(rows.table, schema)
        self._shown.append((rows.table[self._window.column], found.hashes, found.prints))
        told = found.new | found.changed
        ops = np.where(found.new, Operation.INSERT, Operation.UPDATE)[told]
        misfits = taken(rows.misfits, told)
        return Piece(rows.table.filter(pa.array(told)), ops, memory.note(rows.bookmarks), misfits, rows.byte_count)

    def advance(self, rows: pa.Table) -> None:
        """Take note of how far these rows reach."""
        highest = pc.max(rows[self._window.column])
        if highest.is_valid and (self._highest is None or pc.greater(highest, self._highest).as_py()):
            self._highest = highest
            since = self._since(highest)
            self._shown = [kept for shown in self._shown if len((kept := _not_before(shown, since))[1])]

    def place(self) -> dict[str, str]:
        """Where the next look begins."""
        if self._highest is None:
            return {}
        return {CURSOR: literal_of(self._highest), SINCE: literal_of(self._since(self._highest))}

    def window_rows(self, memory: StreamMemory) -> pa.Table:
        """Know the rows that the next look may show again, and no others; what changes of the bookmarks."""
        if not self._learns or self._highest is None:
            return NO_BOOKMARKS
        return memory.rows.replace(
            np.concatenate([np.empty((0, 2), np.uint64), *(hashes for _, hashes, _ in self._shown)]),
            np.concatenate([np.empty((0, 2), np.uint64), *(prints for _, _, prints in self._shown)]),
        )

    def _since(self, highest: pa.Scalar) -> pa.Scalar:
        overlap = self._window.overlap
        return highest if overlap is None else pc.subtract(highest, overlap).cast(self._type)


def _not_before(
    shown: tuple[pa.ChunkedArray, np.ndarray, np.ndarray], since: pa.Scalar
) -> tuple[pa.ChunkedArray, np.ndarray, np.ndarray]:
    values, hashes, prints = shown
    mask = pc.fill_null(pc.greater_equal(values, since), False)
    kept = one_array(mask).to_numpy(zero_copy_only=False)
    return values.filter(mask), hashes[kept], prints[kept]


def literal_of(value: pa.Scalar) -> str:
    """A value as a window's bookmark has it."""
    return str(one_array(literals(pa.array([value.as_py()], value.type)))[0].as_py())


def scalar_of(literal: str, kind: pa.DataType) -> pa.Scalar:
    """The value of a bookmark that a window left; raises ``ValueError`` for one that is none of ``kind``."""
    return decode_values(kind, [literal])[0]
