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
from adapters.sources.polling.cursor import SINCE, Cursor
from adapters.sources.polling.extractor import Extraction, Extractor, Kind, Rows
from pipeline.domain.bookmarks import NO_BOOKMARKS, bookmarks, plain_bookmarks
from pipeline.domain.change import Misfit, Operation
from pipeline.domain.detection import ROW, KnownRows, refuse_vanished
from pipeline.domain.errors import SourceError
from pipeline.domain.schema import StreamSchema
from pipeline.domain.stream import StreamSpec

#: No fingerprints.
NOTHING = np.empty((2, 0), np.uint64)


@attrs.frozen(eq=False)
class Piece:
    """Rows with the operation of each, and what to remember with them; ``rows`` may be keys alone. ``is_whole``: all
    pieces of the look have to be loaded together, or readers would see a table half replaced.
    """

    rows: pa.Table
    ops: np.ndarray
    bookmarks: pa.Table
    misfits: tuple[Misfit, ...] = ()
    byte_count: int = 0
    is_whole: bool = False


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
        memory.rows.list_again()
        for keys in extraction.all_keys():
            memory.rows.see(keys, schema)
        gone = _gone(schema, memory, where=where, max_vanished=extractor.max_vanished(spec))
        yield attrs.evolve(gone, bookmarks=pa.concat_tables([gone.bookmarks, memory.note(extraction.compared)]))
    memory.rows.settle()


def _changes(extraction: Extraction, schema: StreamSchema, memory: StreamMemory) -> Iterator[Piece]:
    remembers = extraction.remembers or extraction.all_keys is not None
    if extraction.window is None:
        for rows in extraction.rows:
            yield _sifted(rows, schema, memory) if remembers else _plain(rows, schema, memory)
        return
    cursor = Cursor(extraction.window, schema, since=memory.others.get(SINCE))
    touched = np.zeros(len(memory.rows), dtype=bool)
    for rows in extraction.rows:
        piece = _sifted(rows, schema, memory) if remembers else _within(rows, schema, memory, cursor, touched=touched)
        cursor.advance(_with_deleted(rows, schema))
        if extraction.window.is_ordered:
            piece = attrs.evolve(piece, bookmarks=pa.concat_tables([piece.bookmarks, memory.note(cursor.place())]))
        yield piece
    yield Piece(
        schema.arrow().empty_table(),
        np.empty(0, np.int8),
        pa.concat_tables([memory.note(cursor.place()), NO_BOOKMARKS if remembers else cursor.window_rows(memory.rows)]),
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
    forgotten = memory.rows.replace(NOTHING, NOTHING) if extraction.remembers else NO_BOOKMARKS
    nothing = pa.table([pa.nulls(1, kind) for kind in schema.arrow().types], schema.arrow())
    yield Piece(nothing, np.array([Operation.TRUNCATE], np.int8), forgotten, is_whole=True)
    for rows in extraction.rows:
        piece = _sifted(rows, schema, memory) if extraction.remembers else _plain(rows, schema, memory)
        yield attrs.evolve(piece, is_whole=True)


def _gone(schema: StreamSchema, memory: StreamMemory, *, where: str, max_vanished: float) -> Piece:
    refuse_vanished(memory.rows.vanished_count, len(memory.rows), max_share=max_vanished, where=where)
    keys, forgotten = memory.rows.vanish(schema)
    return Piece(keys, np.full(keys.num_rows, Operation.DELETE, np.int8), forgotten)


def _sifted(rows: Rows, schema: StreamSchema, memory: StreamMemory) -> Piece:
    found = memory.rows.sift(rows.table, schema, misfits=rows.misfits)
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
    table = _with_deleted(rows, schema)
    ops = np.concatenate([ops, np.full(table.num_rows - rows.table.num_rows, Operation.DELETE, np.int8)])
    return Piece(table, ops, memory.note(rows.bookmarks), rows.misfits, rows.byte_count)


def _within(rows: Rows, schema: StreamSchema, memory: StreamMemory, cursor: Cursor, *, touched: np.ndarray) -> Piece:
    """Of rows that a window shows, and those that it shows to be gone, what the last look has not shown in the same
    form. ``touched`` are the known rows that changed in this look: they are told whenever they are shown in it, also
    in the form that they had before.
    """
    table = _with_deleted(rows, schema)
    found = memory.rows.compare(table, schema, misfits=rows.misfits)
    cursor.note(table, found)
    touched[found.at[found.changed]] = True
    told = found.new.copy()
    told[~found.new] = touched[found.at[~found.new]]
    ops = np.where(found.new, Operation.INSERT, Operation.UPDATE)
    ops[rows.table.num_rows :] = Operation.DELETE
    kept = taken(rows.misfits, told[: rows.table.num_rows])
    return Piece(table.filter(pa.array(told)), ops[told], memory.note(rows.bookmarks), kept, rows.byte_count)


def _with_deleted(rows: Rows, schema: StreamSchema) -> pa.Table:
    """The rows, and behind them those that the source says are gone, null but for what is given of them."""
    if rows.deleted is None or not rows.deleted.num_rows:
        return rows.table
    gone = pa.concat_tables([schema.arrow().empty_table(), rows.deleted], promote_options="default")
    return pa.concat_tables([rows.table, gone.select(schema.names)])
