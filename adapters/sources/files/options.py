"""What a pipeline file says of a file source and of each of its streams, as frozen values.

Keys and their types are checked by ``entrypoints/schemas/files.schema.json``; what spans keys is checked here.
"""

from __future__ import annotations

import codecs
from collections.abc import Mapping
from enum import Enum
from typing import Any

import attrs

from adapters.sources.files.patterns import Pattern, compile_pattern
from adapters.sources.files.typewords import Shape, shape_of
from adapters.sources.polling.declared import key_of, max_vanished_of
from adapters.sources.typewords import KNOWN_WORDS
from pipeline.domain.errors import ConfigError
from pipeline.domain.stream import Mode, StreamSpec

FILE_COLUMN, LINE_COLUMN, EXTRA_COLUMN = "_file", "_line", "_extra"

#: Suffixes of formats, and of what a file is compressed with.
FORMAT_SUFFIXES = {
    "csv": ("csv", "tsv", "txt"),
    "jsonl": ("jsonl", "ndjson", "json"),
    "parquet": ("parquet", "pq"),
    "avro": ("avro",),
}
COMPRESSION_SUFFIXES = {"gzip": ("gz", "gzip"), "zstd": ("zst", "zstd"), "bz2": ("bz2",)}

_POLL_LOCAL_S, _POLL_REMOTE_S = 0.25, 10.0
_MIN_AGE_S = 2.0


class Removed(Enum):
    """What a file that is gone means for its rows: they stay, or they are deleted."""

    KEEP = "keep"
    DELETE = "delete"


@attrs.frozen
class SourceOptions:
    """``url`` is what paths are relative to; ``storage`` goes to fsspec as it is, and may hold secrets."""

    url: str
    poll_s: float
    storage: Mapping[str, object] = attrs.field(factory=dict, repr=False)

    @property
    def is_local(self) -> bool:
        """Whether the files lie on this machine, or on what looks so."""
        return "://" not in self.url or self.url.startswith("file://")


@attrs.frozen
class CsvOptions:
    """How lines are split into values. ``names`` take the place of a header's."""

    delimiter: str = ","
    quote: str = '"'
    has_header: bool = True
    names: tuple[str, ...] = ()
    skip_lines: int = 0
    encoding: str = ""
    null_texts: tuple[str, ...] = ("",)


@attrs.frozen
class ReadOptions:
    """How the files of one stream are found and read; see the README's section on files for what each means.

    ``key`` is empty for a stream whose rows are known by file and line, or by nothing in append mode.
    """

    pattern: Pattern
    format: str
    compression: str | None
    columns: Mapping[str, Shape] | None
    key: tuple[str, ...]
    is_append: bool
    removed: Removed
    refuses_changed: bool
    min_age_s: float
    max_vanished: float
    file_column: str | None
    line_column: str | None
    csv: CsvOptions
    sample_bytes: int
    sample_files: int
    block_bytes: int

    @property
    def has_line_key(self) -> bool:
        """Whether rows are known by file and line."""
        return not self.key and not self.is_append

    def compression_of(self, path: str) -> str | None:
        """What a file is compressed with, by option or suffix; None for a plain one."""
        if self.compression is not None:
            return None if self.compression == "none" else self.compression
        return suffixed(path)[1]


def source_options(name: str, options: Mapping[str, Any]) -> SourceOptions:
    """The options of a source; raises ``ConfigError``."""
    url = str(options.get("url", ""))
    if not url:
        raise ConfigError("url is missing", where=f"source {name}", hint="Name a folder, or a URL such as s3://bucket.")
    found = SourceOptions(url, 0.0, dict(options.get("options", {})))
    poll_s = float(options.get("poll_s", _POLL_LOCAL_S if found.is_local else _POLL_REMOTE_S))
    return attrs.evolve(found, poll_s=poll_s)


def read_options(stream: StreamSpec) -> ReadOptions:
    """The options of a stream; raises ``ConfigError``."""
    read: Mapping[str, Any] = stream.read
    path = str(read.get("path", stream.relation))
    try:
        pattern = compile_pattern(path)
    except ValueError as error:
        raise _wrong(stream, f"path {path} cannot be used: {error}") from None
    key = key_of(stream) or ()
    is_append = stream.mode is Mode.APPEND
    options = ReadOptions(
        pattern=pattern,
        format=_format(stream, read, path),
        compression=read.get("compression"),
        columns=_columns(stream, read),
        key=key,
        is_append=is_append,
        removed=Removed(read.get("removed", "keep" if key or is_append else "delete")),
        refuses_changed=read.get("changed", "refuse") == "refuse",
        min_age_s=float(read.get("min_age_s", _MIN_AGE_S)),
        max_vanished=max_vanished_of(stream),
        file_column=read.get("file_column", FILE_COLUMN),
        line_column=read.get("line_column", LINE_COLUMN),
        csv=_csv(stream, read, path),
        sample_bytes=int(read.get("sample_bytes", 256 * 1024)),
        sample_files=int(read.get("sample_files", 1_000)),
        block_bytes=int(read.get("block_bytes", 4 * 1024 * 1024)),
    )
    _check(stream, options)
    return options


def suffixed(path: str) -> tuple[str | None, str | None]:
    """The format and the compression that the suffixes of a path tell, or of a pattern such as ``*.csv*``."""
    parts = path.rpartition("/")[2].lower().rstrip("*").rstrip(".").split(".")
    compression = next((kind for kind, suffixes in COMPRESSION_SUFFIXES.items() if parts[-1] in suffixes), None)
    if compression is not None:
        parts.pop()
    suffix = parts[-1] if len(parts) > 1 else ""
    return next((kind for kind, suffixes in FORMAT_SUFFIXES.items() if suffix in suffixes), None), compression


def _format(stream: StreamSpec, read: Mapping[str, Any], path: str) -> str:
    found = read.get("format") or suffixed(path)[0]
    if found is None:
        known = ", ".join(FORMAT_SUFFIXES)
        raise _wrong(stream, f"the format of {path} does not show in its suffix", f"Set format to one of {known}.")
    return str(found)


def _columns(stream: StreamSpec, read: Mapping[str, Any]) -> dict[str, Shape] | None:
    if "columns" not in read:
        return None
    shapes = {}
    for name, word in read["columns"].items():
        try:
            shapes[str(name)] = shape_of(str(word))
        except ValueError:
            raise _wrong(stream, f"column {name} has the type {word}", f"Known types: {KNOWN_WORDS}.") from None
    return shapes


def _csv(stream: StreamSpec, read: Mapping[str, Any], path: str) -> CsvOptions:
    names = tuple(str(name) for name in read.get("names", ()))
    is_tabbed = ".tsv" in path.lower()
    encoding = str(read.get("encoding", ""))
    try:
        codecs.lookup(encoding or "utf-8")
    except LookupError:
        raise _wrong(stream, f"encoding {encoding} is not known", "Use a name such as utf-8 or cp1252.") from None
    has_header = bool(read.get("header", not names))
    declared = tuple(str(name) for name in read.get("columns", ()))
    return CsvOptions(
        delimiter=str(read.get("delimiter", "\t" if is_tabbed else ",")),
        quote=str(read.get("quote", '"')),
        has_header=has_header,
        names=names or (() if has_header else declared),
        skip_lines=int(read.get("skip_lines", 0)),
        encoding=encoding,
        null_texts=tuple(str(text) for text in read.get("null_texts", ("",))),
    )


def _check(stream: StreamSpec, options: ReadOptions) -> None:
    places = [name for name in (options.file_column, options.line_column) if name is not None]
    if options.has_line_key and len(places) < 2:
        raise _wrong(stream, "without a key, rows are known by file_column and line_column", "Name both, or a key.")
    given = [*places, *options.pattern.names]
    if len({name.casefold() for name in given}) < len(given):
        raise _wrong(stream, "file_column, line_column and the names in path have to differ")
    clash = next((name for name in options.columns or () if name in places), None)
    if clash is not None:
        raise _wrong(stream, f"column {clash} is called as the column of the file or line", "Rename file_column.")
    lost = [name for name in options.key if options.columns is not None and name not in (*options.columns, *given)]
    if lost:
        raise _wrong(stream, f"key {', '.join(lost)} is not among the columns", "Name it among columns too.")
    if options.format == "csv" and not options.csv.has_header and not options.csv.names:
        raise _wrong(stream, "without a header, the columns have no names", "Give names, or columns in their order.")
    if len(options.csv.delimiter.encode()) != 1 or len(options.csv.quote.encode()) > 1:
        raise _wrong(stream, "delimiter and quote are one ASCII character each", 'quote may be "" for none.')


def _wrong(stream: StreamSpec, what: str, hint: str = "") -> ConfigError:
    return ConfigError(what, where=f"stream {stream.name}, read", hint=hint)
