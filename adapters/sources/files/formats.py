"""One way into the readers of all formats: the columns that a file shows, and its rows as blocks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import pyarrow as pa
import pyarrow.compute as pc

from adapters.sources.files import avro, delimited, jsonlines, parquet
from adapters.sources.files.blocks import Block
from adapters.sources.files.content import Text, seekable, unpacked
from adapters.sources.files.guarded import GuardedFile
from adapters.sources.files.options import ReadOptions
from adapters.sources.files.typewords import TEXT, UNKNOWN, Shape

_DAY = "[12][0-9]{3}-[01][0-9]-[0-3][0-9]"

#: What texts have to be for a column to be of a type; numbers with leading zeros are none, or the zeros were lost.
_LOOKS: tuple[tuple[pa.DataType, str], ...] = (
    (pa.bool_(), r"^(?i:true|false)$"),
    (pa.int64(), r"^(?:0|-?[1-9][0-9]{0,17})$"),
    (pa.float64(), r"^-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?$"),
    (pa.date32(), f"^{_DAY}$"),
    (pa.timestamp("us"), rf"^{_DAY}[ T][0-9]{{2}}:[0-9]{{2}}(?::[0-9]{{2}}(?:\.[0-9]{{1,6}})?)?$"),
    (
        pa.timestamp("us", "UTC"),
        rf"^{_DAY}[ T][0-9]{{2}}:[0-9]{{2}}:[0-9]{{2}}(?:\.[0-9]{{1,6}})?(?:Z|[-+][0-9]{{2}}:?[0-9]{{2}})$",
    ),
)


def shapes_in(file: GuardedFile, path: str, options: ReadOptions) -> dict[str, Shape]:
    """The columns of a file by its names: of CSV and JSON lines as a sample at its beginning shows them.

    Raises ``Unreadable``.
    """
    with unpacked(file, options.compression_of(path)) as stream:
        match options.format:
            case "parquet":
                with seekable(stream) as content:
                    return parquet.shapes_of(content)
            case "avro":
                return avro.shapes_of(stream)
            case "csv":
                return _csv_shapes(Text(stream, options.csv.encoding), options)
            case _:
                sample = Text(stream, options.csv.encoding).read(options.sample_bytes)
                is_whole = len(sample) < options.sample_bytes
                return jsonlines.shapes_of(sample if is_whole else sample[: sample.rfind(b"\n") + 1])


@contextmanager
def blocks_of(
    file: GuardedFile, path: str, options: ReadOptions, *, shapes: Mapping[str, Shape]
) -> Iterator[tuple[Iterator[Block], Text | None]]:
    """The rows of a file with the columns ``shapes``, as far as it has them, and its text if it is one. Raises
    ``Unreadable``, also while blocks are read.
    """
    wanted = None if options.columns is None else set(shapes)
    with unpacked(file, options.compression_of(path)) as stream:
        match options.format:
            case "parquet":
                with seekable(stream) as content:
                    yield parquet.read_parquet(content, wanted=wanted), None
            case "avro":
                yield avro.read_avro(stream, wanted=wanted), None
            case "csv":
                text = Text(stream, options.csv.encoding)
                size = options.block_bytes
                yield delimited.read_csv(text, options.csv, wanted=wanted, block_bytes=size), text
            case "jsonl":
                text = Text(stream, options.csv.encoding)
                keeps = options.columns is None
                yield jsonlines.read_jsonl(text, shapes, keeps_extra=keeps, block_bytes=options.block_bytes), text
            case _:
                raise AssertionError(options.format)


def _csv_shapes(text: Text, options: ReadOptions) -> dict[str, Shape]:
    names, _ = delimited.header_of(text, options.csv, at_most=max(options.sample_bytes, options.block_bytes))
    found: dict[str, Shape] = dict.fromkeys(names, UNKNOWN)
    sample = text.read(options.sample_bytes)
    if len(sample) == options.sample_bytes:
        sample = sample[: sample.rfind(b"\n") + 1]
    if not sample.strip():
        return found
    for block in delimited.read_sample(sample, names, options.csv):
        found.update({name: shape_of_texts(texts) for name, texts in block.columns.items()})
    return found


def shape_of_texts(texts: pa.Array) -> Shape:
    """The shape that texts look like, all of them."""
    given = pc.ascii_trim_whitespace(texts.drop_null())
    given = given.filter(pc.greater(pc.binary_length(given), 0))
    if not len(given):
        return UNKNOWN
    for kind, pattern in _LOOKS:
        if pc.all(pc.match_substring_regex(given, pattern)).as_py():
            try:
                given.cast(kind)
            except pa.ArrowInvalid:
                return TEXT
            return Shape(kind)
    return TEXT
