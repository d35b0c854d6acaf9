"""One file as pieces of an extraction: its rows in the stream's columns, its bad lines, and its entry of the manifest.

Which files are read, and in which order, is the extractor's to say.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import attrs
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from adapters.sources.files.blocks import WHOLE_FILE, BadLine, Block
from adapters.sources.files.casting import cast
from adapters.sources.files.columns import Layout
from adapters.sources.files.content import Unreadable
from adapters.sources.files.formats import blocks_of
from adapters.sources.files.lines import Lines, places
from adapters.sources.files.manifest import FILE, Entry, Fate
from adapters.sources.files.options import ReadOptions
from adapters.sources.files.store import FileInfo, Store, Vanished
from adapters.sources.polling.extractor import Rows
from pipeline.domain.change import Misfit
from pipeline.domain.schema import Column

NO_KEY = "no value in a column of the key"

_KEYS_AT_A_TIME = 100_000

#: So many rows of a file that lack its key are told apart by their lines; what waits of more is known by none.
_MOST_KEYLESS = 500


@attrs.frozen(eq=False)
class _Read:
    """A block with the bytes that were read for it; ``unreadable`` is the reason why the file ends with it."""

    block: Block
    byte_count: int
    has_odd_bytes: bool = False
    unreadable: str | None = None


def read_file(
    store: Store, info: FileInfo, options: ReadOptions, layout: Layout, *, entry: Entry | None
) -> Iterator[Rows]:
    """The pieces of a file that is new or changed; the last one has its entry, those before say that it is read in
    part. ``entry`` is what was known of it.

    Where rows are known by their lines, the last piece deletes the lines that are no more; where they have a key, it
    tells which of the lines that lacked it do so no more. Of a file that turned bad none is. In append mode a file that
    was broken off goes on behind what was loaded of it.
    """
    is_going_on = options.is_append and entry is not None and entry.fate is Fate.PARTIAL
    loaded = entry.lines if is_going_on and entry is not None and entry.evidence == info.evidence else Lines()
    known, keyless = (entry.lines, entry.keyless) if entry is not None else (Lines(), Lines())
    before = Entry(info.evidence, known, keyless=keyless)
    seen = Entry(info.evidence, loaded, keyless=keyless if loaded.runs else Lines())
    try:
        for read, is_last in _with_last(_blocks(store, info, options, layout)):
            block = read.block.behind(loaded.highest) if loaded.runs else read.block
            table, misfits = rows_of(block, info, options, layout, has_odd_bytes=read.has_odd_bytes)
            seen, misfits = _seen(seen, block, misfits)
            rows = Rows(table, misfits, byte_count=read.byte_count)
            if not is_last:
                partial = seen.joined(before, Fate.PARTIAL)
                yield attrs.evolve(rows, bookmarks={FILE + info.path: partial.encode()})
                continue
            last = _last_entry(store, info, before, seen, read)
            yield from _ending(rows, last, options, layout, before=before, path=info.path)
    except Vanished:  # told of as gone by the next listing
        return


def is_readable(store: Store, info: FileInfo, options: ReadOptions, layout: Layout) -> bool:
    """Whether the file can be read to its end."""
    try:
        return all(read.unreadable is None for read in _blocks(store, info, options, layout))
    except Vanished:
        return False


def forget_file(path: str, entry: Entry, layout: Layout, *, deletes: bool, closes: bool) -> Iterator[Rows]:
    """The pieces that forget a file that is gone, deleting its lines if ``deletes``, and telling if it ``closes`` that
    those without a key are no more.
    """
    nothing = layout.schema.arrow().empty_table()
    lines = entry.lines if deletes else Lines()
    for numbers in lines.numbers(at_most=_KEYS_AT_A_TIME):
        yield Rows(nothing, deleted=_keys(path, numbers, layout))
    yield Rows(nothing, mended=_mended(path, entry.keyless if closes else Lines()), bookmarks={FILE + path: None})


def rows_of(
    block: Block, info: FileInfo, options: ReadOptions, layout: Layout, *, has_odd_bytes: bool = False
) -> tuple[pa.Table, tuple[Misfit, ...]]:
    """The rows of a block in the stream's columns, its bad lines at the end, and what did not fit."""
    count, bad_count = len(block.lines), len(block.bad)
    parts = options.pattern.parts(info.path) or {}
    is_json = options.format in {"jsonl", "avro"}
    lines = _all_lines(block)
    arrays: dict[str, pa.Array] = {}
    misfits: list[Misfit] = []

    def take(column: Column, values: pa.Array | None) -> None:
        array = pa.nulls(count, column.type)
        if values is not None:
            array, unfit = cast(column, values, has_odd_bytes=has_odd_bytes, is_json=is_json)
            misfits.extend(Misfit(column.name, pa.array(rows), texts, reason) for rows, texts, reason in unfit)
        arrays[column.name] = array if not bad_count else pa.concat_arrays([array, pa.nulls(bad_count, column.type)])

    for name, column in layout.data.items():
        take(column, block.columns.get(name))
    for name, column in layout.parts.items():
        take(column, pa.repeat(parts.get(name, ""), count))
    if layout.extra is not None:
        take(layout.extra, block.extra)
    if layout.file is not None:
        arrays[layout.file.name] = pa.repeat(info.path, count + bad_count)
    if layout.line is not None:
        arrays[layout.line.name] = pa.array(lines)
    misfits += _without_key(arrays, misfits, options, layout, count=count)
    misfits += _of_bad_lines(block.bad, layout, first=count)
    keys = layout.schema.key if options.key else ()
    misfits = [_placed(misfit, info, lines, is_shown=not layout.has_place, keys=keys) for misfit in misfits]
    return pa.Table.from_arrays([arrays[name] for name in layout.schema.names], schema=layout.schema.arrow()), tuple(
        misfits
    )


def _all_lines(block: Block) -> np.ndarray:
    """The lines of a block, its bad ones at the end."""
    return np.append(block.lines, [bad.line for bad in block.bad]).astype(np.int64) if block.bad else block.lines


def _blocks(store: Store, info: FileInfo, options: ReadOptions, layout: Layout) -> Iterator[_Read]:
    """The blocks of a file, at least one; one that cannot be read on ends with what is wrong."""
    with store.open(info) as file:
        read_bytes, last = 0, 0
        try:
            with blocks_of(file, info.path, options, shapes=layout.shapes) as (blocks, text):
                for block in blocks:
                    last = max(last, int(block.lines[-1]) if len(block.lines) else 0)
                    has_odd_bytes = text is not None and text.has_odd_bytes
                    yield _Read(block, file.byte_count - read_bytes, has_odd_bytes)
                    read_bytes = file.byte_count
        except Unreadable as error:
            bad = BadLine(WHOLE_FILE, info.path, error.reason)
            yield _Read(_nothing(bad), file.byte_count - read_bytes, unreadable=error.reason)
            return
        yield _Read(_nothing(), file.byte_count - read_bytes)


def _nothing(*bad: BadLine) -> Block:
    return Block({}, np.empty(0, np.int64), bad)


def _seen(seen: Entry, block: Block, misfits: tuple[Misfit, ...]) -> tuple[Entry, tuple[Misfit, ...]]:
    """The entry with the lines of one more block, and its misfits: without names, if these became too many."""
    lines = _all_lines(block)
    seen = attrs.evolve(seen, lines=seen.lines | Lines.of(np.sort(lines) if block.bad else lines))
    keyless = [lines[misfit.rows.to_numpy(zero_copy_only=False)] for misfit in misfits if misfit.names is not None]
    if not keyless:
        return seen, misfits
    named = np.unique(np.concatenate(keyless))
    if seen.keyless.count + len(named) > _MOST_KEYLESS:
        return seen, tuple(attrs.evolve(misfit, names=None) for misfit in misfits)
    return attrs.evolve(seen, keyless=seen.keyless | Lines.of(named)), misfits


def _last_entry(store: Store, info: FileInfo, before: Entry, seen: Entry, read: _Read) -> Entry:
    """What to remember of a file that was read to its end; one that changed meanwhile is read once more."""
    if not store.is_as_listed(info):
        return seen.joined(before, Fate.PARTIAL)
    return seen.joined(before, Fate.BAD) if read.unreadable else seen


def _ending(
    rows: Rows, entry: Entry, options: ReadOptions, layout: Layout, *, before: Entry, path: str
) -> Iterator[Rows]:
    """The last piece, after the deletion of surplus lines where these are many."""
    surplus = before.lines.minus(entry.lines) if options.has_line_key and entry.fate is Fate.LOADED else Lines()
    nothing = layout.schema.arrow().empty_table()
    for numbers in surplus.numbers(at_most=_KEYS_AT_A_TIME):
        yield Rows(nothing, deleted=_keys(path, numbers, layout))
    mended = _mended(path, before.keyless.minus(entry.keyless))
    yield attrs.evolve(rows, mended=mended, bookmarks={FILE + path: entry.encode()})


def _mended(path: str, lines: Lines) -> pa.StringArray | None:
    numbers = list(lines.numbers(at_most=_KEYS_AT_A_TIME))
    return places(path, np.concatenate(numbers)) if numbers else None


def _keys(path: str, numbers: np.ndarray, layout: Layout) -> pa.Table:
    assert layout.file is not None and layout.line is not None  # noqa: S101, PT018 - they are the key
    return pa.table({layout.file.name: pa.repeat(path, len(numbers)), layout.line.name: pa.array(numbers)})


def _without_key(
    arrays: dict[str, pa.Array], misfits: Sequence[Misfit], options: ReadOptions, layout: Layout, *, count: int
) -> list[Misfit]:
    """Rows of a declared key that lack a part of it: they could not be told apart."""
    found = []
    for name in layout.schema.key if options.key else ():
        missing = np.flatnonzero(pc.is_null(arrays[name].slice(0, count)).to_numpy(zero_copy_only=False))
        told = [misfit.rows.to_numpy() for misfit in misfits if misfit.column == name]
        missing = np.setdiff1d(missing, np.concatenate(told)) if told else missing
        if len(missing):
            found.append(Misfit(name, pa.array(missing), pa.array([""] * len(missing), pa.string()), NO_KEY))
    return found


def _of_bad_lines(bad: Sequence[BadLine], layout: Layout, *, first: int) -> list[Misfit]:
    found = []
    for reason in dict.fromkeys(line.reason for line in bad):
        numbers = [number for number, line in enumerate(bad) if line.reason == reason]
        rows = pa.array([first + number for number in numbers], pa.int64())
        found.append(Misfit(layout.marked, rows, pa.array([bad[n].text for n in numbers], pa.string()), reason))
    return found


def _placed(misfit: Misfit, info: FileInfo, lines: np.ndarray, *, is_shown: bool, keys: Sequence[str]) -> Misfit:
    """The misfit with the file and line, if no column shows it; rows without their key are known by it."""
    is_name = misfit.column in keys
    at = places(info.path, lines[misfit.rows.to_numpy(zero_copy_only=False)]) if is_shown or is_name else None
    return attrs.evolve(misfit, places=at if is_shown else None, names=at if is_name else None)


def _with_last(reads: Iterator[_Read]) -> Iterator[tuple[_Read, bool]]:
    """Each with whether it is the last; an empty one at the end joins the one before it."""
    before: _Read | None = None
    for read in reads:
        if before is not None:
            is_empty = not len(read.block.lines) and not read.block.bad
            if is_empty and read.unreadable is None:
                continue
            yield before, False
        before = read
    if before is not None:
        yield before, True
