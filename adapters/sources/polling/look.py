"""One look at a stream: what an extraction gives becomes changes, by what was known before.

Which rows changed is ``pipeline.domain.detection``'s to say; positions and batches are ``reader``'s.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import assert_never

import attrs
import numpy as np
import pyarrow as pa

from adapters.sources.polling.changerows import taken
from adapters.sources.polling.content import Content
from adapters.sources.polling.continuity import (
    CONTENT,
    CURSOR_COLUMNS,
    KNOWS,
    is_remembered,
    refuse_unfit,
)
from adapters.sources.polling.cursor import SINCE, Cursor
from adapters.sources.polling.extractor import Extraction, Extractor, Kind, Rows
from adapters.sources.polling.memory import StreamMemory
from pipeline.domain.bookmarks import NO_BOOKMARKS, latest
from pipeline.domain.change import Misfit, Operation
from pipeline.domain.detection import refuse_vanished
from pipeline.domain.errors import PipelineError, SourceError
from pipeline.domain.fingerprintorder import NONE
from pipeline.domain.schema import StreamSchema
from pipeline.domain.stream import StreamSpec


@attrs.frozen(eq=False)
class Piece:
    """Rows with the operation of each, and what to remember with them; ``rows`` may be keys alone. ``is_whole``: all
    pieces of the look have to be loaded together, or readers would see a table half replaced. ``is_known``: all of them
    show what was loaded already, so that none needs to be.
    """

    rows: pa.Table
    ops: np.ndarray
    bookmarks: pa.Table
    misfits: tuple[Misfit, ...] = ()
    byte_count: int = 0
    is_whole: bool = False
    is_known: bool = False


def look(
    extractor: Extractor, spec: StreamSpec, schema: StreamSchema, memory: StreamMemory, *, is_copy: bool = False
) -> Iterator[Piece]:
    """What is new at the stream since ``memory``, which moves along. ``is_copy``: nothing was loaded before, so that no
    row can be gone.
    """
    where = f"source {extractor.name}, stream {spec.name}"
    extraction = extractor.extract(spec, schema, memory.extractors)
    refuse_unfit(extraction, schema, memory.others, where=where)
    rows = (attrs.evolve(piece, deleted=None, mended=None) if is_copy else piece for piece in extraction.rows)
    max_vanished = extractor.max_vanished(spec)
    match extraction.kind:
        case Kind.CHANGES:
            yield from _changes(extraction, rows, schema, memory)
        case Kind.IMAGE:
            yield from (_sifted(piece, schema, memory) for piece in rows)
            if extraction.shifts and (memory.rows.has_repeated or memory.rows.vanished_count):
                memory.rows.read_again()
                again = extractor.extract(spec, schema, memory.extractors).rows
                yield from (_sifted(piece, schema, memory) for piece in again)
            _refuse_repeated(memory, where=where, shifts=extraction.shifts)
            yield _gone(schema, memory, where=where, max_vanished=max_vanished)
            yield _noted(memory, extraction.compared, is_whole=True)
        case Kind.REPLACEMENT:
            yield from _replacement(extraction, rows, schema, memory)
        case _:
            assert_never(extraction.kind)
    if extraction.all_keys is not None:
        if not is_copy:
            yield from _listed(extraction, extraction.all_keys, schema, memory, where=where)
            yield _gone(schema, memory, where=where, max_vanished=max_vanished)
        yield _noted(memory, extraction.compared, is_whole=True)
    memory.rows.settle()
    # Told last, with a look that is over; of a replacement that is known there is nothing new to tell.
    told: dict[str, str | None] = {KNOWS: "all" if is_remembered(extraction) else "some"}
    if extraction.kind is not Kind.REPLACEMENT:
        told[CONTENT] = None
    yield _noted(memory, told, is_whole=True)


def name_stream(error: PipelineError, extractor: Extractor, spec: StreamSpec) -> None:
    """Let an error say which stream it is about, if it does not yet."""
    if spec.name not in error.where:
        error.where = f"{error.where or f'source {extractor.name}'}, stream {spec.name}"


def _changes(
    extraction: Extraction, shown: Iterator[Rows], schema: StreamSchema, memory: StreamMemory
) -> Iterator[Piece]:
    remembers, window = is_remembered(extraction), extraction.window
    if window is None:
        if not remembers and len(memory.rows):
            yield attrs.evolve(_noted(memory, {}), bookmarks=memory.rows.replace(NONE, NONE))
        for rows in shown:
            yield _sifted(rows, schema, memory) if remembers else _plain(rows, schema, memory)
        return
    cursor = Cursor(window, schema, since=memory.others.get(SINCE))
    touched = np.zeros(len(memory.rows), dtype=bool)
    for rows in shown:
        piece = _sifted(rows, schema, memory) if remembers else _within(rows, schema, memory, cursor, touched=touched)
        cursor.advance(_with_deleted(rows, schema))
        if window.is_ordered:
            piece = attrs.evolve(piece, bookmarks=pa.concat_tables([piece.bookmarks, memory.note(cursor.place())]))
        yield piece
    last = _noted(memory, {**cursor.place(), CURSOR_COLUMNS: ",".join(window.columns)})
    kept = NO_BOOKMARKS if remembers else cursor.window_rows(memory.rows)
    yield attrs.evolve(last, bookmarks=pa.concat_tables([last.bookmarks, kept]))


def _replacement(
    extraction: Extraction, shown: Iterator[Rows], schema: StreamSchema, memory: StreamMemory
) -> Iterator[Piece]:
    forgotten = memory.rows.replace(NONE, NONE) if len(memory.rows) else NO_BOOKMARKS
    nothing = pa.table([pa.nulls(1, kind) for kind in schema.arrow().types], schema.arrow())
    yield Piece(nothing, np.array([Operation.TRUNCATE], np.int8), forgotten, is_whole=True)
    content = Content(schema)
    for rows in shown:
        content.add(rows.table, misfits=rows.misfits)
        piece = _sifted(rows, schema, memory) if extraction.remembers else _plain(rows, schema, memory)
        yield attrs.evolve(piece, is_whole=True)
    is_known = memory.others.get(CONTENT) == content.text
    yield attrs.evolve(_noted(memory, {CONTENT: content.text}, is_whole=True), is_known=is_known)


def _listed(
    extraction: Extraction,
    list_keys: Callable[[], Iterator[pa.Table]],
    schema: StreamSchema,
    memory: StreamMemory,
    *,
    where: str,
) -> Iterator[Piece]:
    """Take note of the keys of all rows that there are; what is yielded is empty."""
    memory.rows.list_again()
    for keys in list_keys():
        memory.rows.see(keys, schema)
        yield _noted(memory, {})
    if extraction.shifts and (memory.rows.has_repeated or memory.rows.vanished_count):
        memory.rows.read_again()
        for keys in list_keys():
            memory.rows.see(keys, schema)
            yield _noted(memory, {})
    _refuse_repeated(memory, where=where, shifts=extraction.shifts)


def _refuse_repeated(memory: StreamMemory, *, where: str, shifts: bool) -> None:
    """Raise where the last reading showed a key twice; of pages that move, if a row was left out by both readings."""
    if not memory.rows.has_repeated or (shifts and not memory.rows.vanished_count):
        return
    raise SourceError(
        "a key was shown twice in one reading, so rows may have been left out; nothing was taken for gone",
        where=where,
        hint="The source changed while it was read page by page: it is read again by the next run. If its keys are "
        "not unique, name other key columns.",
        case="repeated",
    )


def _noted(memory: StreamMemory, changes: Mapping[str, str | None], *, is_whole: bool = False) -> Piece:
    return Piece(pa.table({}), np.empty(0, np.int8), memory.note(changes), is_whole=is_whole)


def _gone(schema: StreamSchema, memory: StreamMemory, *, where: str, max_vanished: float) -> Piece:
    refuse_vanished(memory.rows.vanished_count, len(memory.rows), max_share=max_vanished, where=where)
    keys, forgotten = memory.rows.vanish(schema)
    return Piece(keys, np.full(keys.num_rows, Operation.DELETE, np.int8), forgotten)


def _sifted(rows: Rows, schema: StreamSchema, memory: StreamMemory) -> Piece:
    found = memory.rows.sift(rows.table, schema, misfits=rows.misfits)
    told = found.new | found.changed
    ops = np.where(found.new, Operation.INSERT, Operation.UPDATE)[told]
    table = rows.table.filter(pa.array(told))
    of_rows = found.bookmarks
    # Forgotten, so that such a row is new when it is shown again.
    if rows.mended is not None and len(rows.mended):
        of_rows = latest([of_rows, memory.rows.forget_names(rows.mended)])
    if rows.deleted is not None and rows.deleted.num_rows:
        of_rows = latest([of_rows, memory.rows.forget(rows.deleted, schema)])
        table = _with_deleted(attrs.evolve(rows, table=table), schema)
        ops = np.concatenate([ops, np.full(rows.deleted.num_rows, Operation.DELETE, np.int8)])
    remembered = pa.concat_tables([of_rows, memory.note(rows.bookmarks)])
    piece = Piece(table, ops, remembered, taken(rows.misfits, told), rows.byte_count)
    return _with_mended(piece, rows.mended, schema)


def _plain(rows: Rows, schema: StreamSchema, memory: StreamMemory) -> Piece:
    op = Operation.UPDATE if schema.key else Operation.INSERT
    ops = np.full(rows.table.num_rows, op, np.int8)
    table = _with_deleted(rows, schema)
    ops = np.concatenate([ops, np.full(table.num_rows - rows.table.num_rows, Operation.DELETE, np.int8)])
    piece = Piece(table, ops, memory.note(rows.bookmarks), rows.misfits, rows.byte_count)
    return _with_mended(piece, rows.mended, schema)


def _within(rows: Rows, schema: StreamSchema, memory: StreamMemory, cursor: Cursor, *, touched: np.ndarray) -> Piece:
    """Of rows that a window shows, and those that it shows to be gone, what the last look has not shown in the same
    form. ``touched`` are the known rows that changed in this look: they are told whenever they are shown in it, also
    in the form that they had before.
    """
    table = _with_deleted(rows, schema)
    found = memory.rows.compare(table, schema, misfits=rows.misfits, before=cursor.shown_prints)
    cursor.note(table, found)
    touched[found.at[found.changed]] = True
    told = found.new.copy()
    told[~found.new] = touched[found.at[~found.new]]
    ops = np.where(found.new, Operation.INSERT, Operation.UPDATE)
    ops[rows.table.num_rows :] = Operation.DELETE
    kept = taken(rows.misfits, told[: rows.table.num_rows])
    return Piece(table.filter(pa.array(told)), ops[told], memory.note(rows.bookmarks), kept, rows.byte_count)


def _with_mended(piece: Piece, names: pa.StringArray | None, schema: StreamSchema) -> Piece:
    """The piece, and behind it the deletes of rows that were set apart under these names."""
    if names is None or not len(names):
        return piece
    first, count = piece.rows.num_rows, len(names)
    nothing = pa.table([pa.nulls(count, kind) for kind in schema.arrow().types], schema.arrow())
    numbers = pa.array(np.arange(first, first + count))
    named = Misfit(schema.key[0], numbers, pa.nulls(count, pa.string()), "set apart before", names=names)
    return attrs.evolve(
        piece,
        rows=pa.concat_tables([piece.rows, nothing]),
        ops=np.append(piece.ops, np.full(count, Operation.DELETE, np.int8)),
        misfits=(*piece.misfits, named),
    )


def _with_deleted(rows: Rows, schema: StreamSchema) -> pa.Table:
    """The rows, and behind them those that the source says are gone, null but for what is given of them."""
    if rows.deleted is None or not rows.deleted.num_rows:
        return rows.table
    gone = pa.concat_tables([schema.arrow().empty_table(), rows.deleted], promote_options="default")
    return pa.concat_tables([rows.table, gone.select(schema.names)])
