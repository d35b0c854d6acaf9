"""The schema of a stream of files: its columns as declared, or unified over what its files show; and its key.

Which files there are is ``store``'s; what one file shows is ``formats``'.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

import attrs
import pyarrow as pa

from adapters.sources.files.content import Unreadable
from adapters.sources.files.formats import shapes_in
from adapters.sources.files.options import EXTRA_COLUMN, ReadOptions, Removed
from adapters.sources.files.store import FileInfo, Store, Vanished
from adapters.sources.files.typewords import JSON, TEXT, UNKNOWN, Shape, shape_of, unified
from pipeline.domain.errors import SourceRejected
from pipeline.domain.fitting import holds
from pipeline.domain.naming import column_names
from pipeline.domain.schema import Column, StreamSchema

_THREADS = 8
#: What the bookmarks of columns begin with; the name in the files follows.
_SHAPE = "column:"


@attrs.frozen
class Layout:
    """The columns of a stream by where their values come from: the file's own by its names, parts of its path, its
    place, and what no sample showed. ``schema`` has all of them in this order.
    """

    schema: StreamSchema
    data: Mapping[str, Column]
    parts: Mapping[str, Column]
    file: Column | None
    line: Column | None
    extra: Column | None
    shapes: Mapping[str, Shape]
    is_guessed: bool

    @property
    def has_place(self) -> bool:
        """Whether each row says in columns where it stands."""
        return self.file is not None and self.line is not None

    @property
    def marked(self) -> str:
        """The column that tells of a line that is no row: of the key where there is one of the file's own, since a row
        without a key is never loaded.
        """
        places = {column.name for column in (self.file, self.line) if column is not None}
        own = [name for name in self.schema.key if name not in places]
        return (own or [name for name in self.schema.names if name not in places] or list(self.schema.names))[0]


class Samples:
    """What files show of their columns, each read once as long as it looks the same."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._known: dict[tuple[str, FileInfo], dict[str, Shape] | None] = {}

    def of(self, files: Iterable[FileInfo], options: ReadOptions) -> list[dict[str, Shape]]:
        """The columns of each file that can be read."""
        wanted = list(files)
        keys = [(options.format, info) for info in wanted]
        unknown = [key for key in dict.fromkeys(keys) if key not in self._known]
        if len(unknown) < _THREADS:
            found = [self._sample(info, options) for _, info in unknown]
        else:
            with ThreadPoolExecutor(_THREADS) as threads:
                found = list(threads.map(lambda key: self._sample(key[1], options), unknown))
        self._known.update(zip(unknown, found, strict=True))
        return [shapes for key in keys if (shapes := self._known[key]) is not None]

    def _sample(self, info: FileInfo, options: ReadOptions) -> dict[str, Shape] | None:
        try:
            with self._store.open(info) as file:
                return shapes_in(file, info.path, options)
        except (Unreadable, Vanished):
            return None


def layout_of(
    options: ReadOptions,
    files: Sequence[FileInfo],
    samples: Samples,
    *,
    where: str,
    known: Mapping[str, Shape] | None = None,
) -> Layout:
    """The layout as the newest of ``files`` show it now, which are in order; ``known`` are the columns of looks before.

    A column goes on as it was known where a warehouse could not follow: what does not fit is set apart row by row.
    Raises ``SourceRejected`` where nothing tells the columns of a key.
    """
    if options.columns is not None:
        shapes = {name: shape for name, shape in options.columns.items() if name not in options.pattern.names}
    else:
        shown = merged(samples.of(files[-options.sample_files :], options))
        shapes = {
            name: shape for name, shape in followed(known or {}, shown).items() if name not in options.pattern.names
        }
    return _layout(options, shapes, where=where)


def merged(found: Iterable[Mapping[str, Shape]]) -> dict[str, Shape]:
    """All columns in order of first appearance, each in the shape that holds what all files show."""
    shapes: dict[str, Shape] = {}
    for one in found:
        for name, shape in one.items():
            shapes[name] = unified(shapes.get(name, UNKNOWN), shape)
    return shapes


def followed(known: Mapping[str, Shape], shown: Mapping[str, Shape]) -> dict[str, Shape]:
    """The known columns as wide as files show them now, where every value so far stays what it is; and new ones."""
    shapes = dict(known)
    for name, shape in shown.items():
        before = known.get(name, UNKNOWN)
        wider = unified(before, shape)
        is_exact = pa.types.is_null(before.type) or (holds(wider.type, before.type) and wider.json == before.json)
        shapes[name] = wider if is_exact else before
    return shapes


def _layout(options: ReadOptions, shapes: Mapping[str, Shape], *, where: str) -> Layout:
    declared = options.columns or {}
    parts = {name: declared.get(name, TEXT) for name in options.pattern.names}
    places = [name for name in (options.file_column, options.line_column) if name is not None]
    has_extra = options.format == "jsonl" and options.columns is None
    names = column_names([*places, *parts, *shapes, *([EXTRA_COLUMN] if has_extra else [])])
    data = {name: shape.column(name, names[name]) for name, shape in shapes.items()}
    of_parts = {name: shape.column(name, names[name]) for name, shape in parts.items()}
    file = None if options.file_column is None else TEXT.column(options.file_column, names[options.file_column])
    line = None if options.line_column is None else _line(options.line_column, names)
    extra = JSON.column(EXTRA_COLUMN, names[EXTRA_COLUMN]) if has_extra and EXTRA_COLUMN not in shapes else None
    columns = [*data.values(), *of_parts.values(), *(column for column in (file, line, extra) if column is not None)]
    missing = [name for name in options.key if name not in {column.source_name for column in columns}]
    if missing:
        raise SourceRejected(
            f"no file shows the key {', '.join(missing)}",
            where=where,
            hint="Correct path or key, wait for the first file, or declare the columns.",
        )
    key = (file, line) if options.has_line_key else ()
    by_name = {column.source_name: column.name for column in columns}
    key_names = [column.name for column in key if column is not None] or [by_name[name] for name in options.key]
    return Layout(
        StreamSchema(columns, key=key_names), data, of_parts, file, line, extra, shapes, options.columns is None
    )


def _line(name: str, names: Mapping[str, str]) -> Column:
    return Column(names[name], pa.int64(), source_name=name, source_type="int")


def can_sweep(options: ReadOptions) -> bool:
    """Whether rows that no file has any more are to be deleted by their own key."""
    return bool(options.key) and options.removed is Removed.DELETE


def known_shapes(bookmarks: Mapping[str, str]) -> dict[str, Shape]:
    """The columns that ``new_shapes`` told of, in their order."""
    found = {}
    for name, value in bookmarks.items():
        if name.startswith(_SHAPE):
            number, _, word = value.partition(" ")
            found[name.removeprefix(_SHAPE)] = (int(number), shape_of(word))
    return {name: shape for name, (_, shape) in sorted(found.items(), key=lambda item: item[1][0])}


def new_shapes(layout: Layout, known: Mapping[str, Shape]) -> dict[str, str | None]:
    """Bookmarks of guessed columns that are new or wider than known; one whose type has no word is guessed anew."""
    told: dict[str, str | None] = {}
    for number, (name, shape) in enumerate(layout.shapes.items()):
        if layout.is_guessed and known.get(name) != shape and shape.has_word:
            told[f"{_SHAPE}{name}"] = f"{number} {shape.word}"
    return told
