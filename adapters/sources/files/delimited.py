"""CSV: texts of fields by column, with the number of the line that each record begins with.

A record is numbered as a line: where quoted fields hold line breaks, later numbers count records, not breaks. Lines
with nothing in any field are no rows. Which types the texts are read as is ``casting``'s affair.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Collection, Iterator

import attrs
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from adapters.sources.files.blocks import TEXT_CHARS, BadLine, Block
from adapters.sources.files.content import Text, Unreadable, legible
from adapters.sources.files.options import CsvOptions
from pipeline.domain.valuetext import one_array

WRONG_COUNT = "wrong number of fields"
NOT_CLOSED = "quoted text that is not closed"
#: So many lines in a row that are no records make a file that is none of CSV.
_MOST_BAD = 10_000
#: A line before the records is mostly shorter than this.
_LINE_BYTES = 64 * 1024


def header_of(text: Text, options: CsvOptions, *, at_most: int) -> tuple[list[str], int]:
    """The names of the columns, and how many lines come before the first record; ``text`` is read up to there.

    A name that is empty or was there before gets a number. Raises ``Unreadable`` where there is no header.
    """
    for _ in range(options.skip_lines):
        _line(text, at_most)
    if not options.has_header:
        return list(options.names), options.skip_lines
    record, count = b"", 0
    while True:
        line = _line(text, at_most)
        record += line
        count += 1
        if not line or not options.quote or record.count(options.quote.encode()) % 2 == 0:
            break
    if not record.strip():
        raise Unreadable("no header")
    rows = csv.reader(
        io.StringIO(record.decode(), newline=""),
        delimiter=options.delimiter,
        quotechar=options.quote or None,
        quoting=csv.QUOTE_MINIMAL if options.quote else csv.QUOTE_NONE,
    )
    found = next(rows)
    if options.names:
        found = list(options.names)
    return _distinct(found), options.skip_lines + count


def read_csv(text: Text, options: CsvOptions, *, wanted: Collection[str] | None, block_bytes: int) -> Iterator[Block]:
    """The file's rows, all values as texts; only the columns ``wanted``, if given. Raises ``Unreadable``."""
    names, before = header_of(text, options, at_most=block_bytes)
    first = text.read(block_bytes)
    if not first.strip():
        return
    text.unread(first)
    yield from _Records(text, options, names, before=before, block_bytes=block_bytes).blocks(wanted)


def read_sample(sample: bytes, names: list[str], options: CsvOptions) -> Iterator[Block]:
    """The rows of whole lines from the midst of a file, as one block."""
    text = Text(io.BytesIO(sample), "utf-8")
    yield from _Records(text, options, names, before=0, block_bytes=len(sample) + 1).blocks(None)


class _Records:
    """Reads records on, and keeps account of lines that are none."""

    def __init__(self, text: Text, options: CsvOptions, names: list[str], *, before: int, block_bytes: int) -> None:
        self._source = _Watched(text, options.quote)
        self._options = options
        self._names = names
        self._next = before + 1
        self._before = before
        self._block_bytes = block_bytes
        self._bad: list[BadLine] = []

    def blocks(self, wanted: Collection[str] | None) -> Iterator[Block]:
        reader = self._reader()
        batch = next(reader, None)
        while batch is not None:
            following, error = _next(reader)
            block = self._block(batch, is_last=following is None and error is None)
            chosen = {name: values for name, values in block.columns.items() if wanted is None or name in wanted}
            yield attrs.evolve(block, columns=chosen)
            if error is not None:
                raise error
            batch = following
        bad = self._bad[:-1] if self._source.breaks_off else self._bad
        if bad:
            yield Block({}, np.empty(0, np.int64), tuple(bad))
        if self._source.error is not None:
            raise self._source.error

    def _reader(self) -> pa.csv.CSVStreamingReader:
        columns = [str(number) for number in range(len(self._names))]
        parse = pa.csv.ParseOptions(
            delimiter=self._options.delimiter,
            quote_char=self._options.quote or False,
            newlines_in_values=bool(self._options.quote),
            ignore_empty_lines=False,
            invalid_row_handler=self._note,
        )
        convert = pa.csv.ConvertOptions(
            check_utf8=False,
            column_types=dict.fromkeys(columns, pa.string()),
            null_values=list(self._options.null_texts),
            strings_can_be_null=True,
            quoted_strings_can_be_null=False,
        )
        # Only a reader without threads tells the numbers of lines.
        read = pa.csv.ReadOptions(use_threads=False, block_size=self._block_bytes, column_names=columns)
        source = pa.PythonFile(self._source, mode="r")
        return pa.csv.open_csv(source, read_options=read, parse_options=parse, convert_options=convert)

    def _note(self, row: pa.csv.InvalidRow) -> str:
        if len(self._bad) >= _MOST_BAD:
            return "error"
        text = legible(row.text, limit=TEXT_CHARS)
        self._bad.append(BadLine(self._before + row.number, text, WRONG_COUNT))
        return "skip"

    def _block(self, batch: pa.RecordBatch, *, is_last: bool) -> Block:
        lines, bad = self._numbered(batch.num_rows)
        arrays = {name: one_array(batch.column(at)) for at, name in enumerate(self._names)}
        if is_last and self._ends_torn(batch):
            if self._source.error is None:
                bad = (*bad, BadLine(int(lines[-1]), "", NOT_CLOSED))
            lines = lines[:-1]
            arrays = {name: array.slice(0, len(lines)) for name, array in arrays.items()}
        present = _present(arrays, len(lines))
        if present is not None:
            lines = lines[present]
            arrays = {name: array.filter(pa.array(present)) for name, array in arrays.items()}
        return Block(arrays, lines, bad)

    def _numbered(self, count: int) -> tuple[np.ndarray, tuple[BadLine, ...]]:
        """The numbers of the next ``count`` records, and the lines among and before them that are none."""
        end, taken = self._next + count, 0
        while taken < len(self._bad) and self._bad[taken].line < end:
            taken += 1
            end += 1
        bad, self._bad = self._bad[:taken], self._bad[taken:]
        numbers = np.arange(self._next, end, dtype=np.int64)
        self._next = end
        return np.delete(numbers, [line.line - int(numbers[0]) for line in bad]) if bad else numbers, tuple(bad)

    def _ends_torn(self, batch: pa.RecordBatch) -> bool:
        """Whether the last record of the file, which the batch ends with, is no whole one: the file breaks off in it,
        or its quoted field took in all that follows.
        """
        source = self._source
        if not batch.num_rows:
            return False
        if source.breaks_off:
            return not self._bad  # else the last record is among those, since it had too few fields
        last = [column[-1].as_py() for column in batch.columns] if source.is_open_ended else []
        return bool(last) and (not source.ends_line or any("\n" in value for value in last if value is not None))


class _Watched(io.RawIOBase):
    """Counts quotes on the way: where their number is odd, one field was perhaps not closed. At an error of reading the
    text ends, and ``error`` keeps it: Arrow reads ahead, and would give up what it has read before.
    """

    def __init__(self, text: Text, quote: str) -> None:
        super().__init__()
        self._text = text
        self._quote = quote.encode()
        self._count = 0
        self.ends_line = True
        self.error: Exception | None = None

    @property
    def is_open_ended(self) -> bool:
        return self._count % 2 == 1

    @property
    def breaks_off(self) -> bool:
        """Whether reading ended by an error in the middle of a line."""
        return self.error is not None and not self.ends_line

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        if self.error is not None:
            return b""
        try:
            data = self._text.read(size)
        except (pa.ArrowException, OSError, EOFError) as error:
            self.error = error
            return b""
        if data:
            self.ends_line = data.endswith(b"\n")
            if self._quote:
                self._count += data.count(self._quote)
        return data


def _next(reader: pa.csv.CSVStreamingReader) -> tuple[pa.RecordBatch | None, Exception | None]:
    """The next batch, None at the end; or the error that stands in its place."""
    try:
        return next(reader, None), None
    except (pa.ArrowException, OSError) as error:
        return None, error


def _present(arrays: dict[str, pa.Array], count: int) -> np.ndarray | None:
    """Which rows have a value in any field, None if all have."""
    if any(array.null_count == 0 for array in arrays.values()) or not arrays:
        return None
    mask = np.zeros(count, dtype=bool)
    for array in arrays.values():
        mask |= pc.is_valid(array).to_numpy(zero_copy_only=False)
        if mask.all():
            return None
    return mask


def _line(text: Text, at_most: int) -> bytes:
    """The next line with its end; the empty text where there is none."""
    data = piece = text.read(min(_LINE_BYTES, at_most))
    while piece and b"\n" not in piece and len(data) < at_most:
        piece = text.read(len(data))
        data += piece
    end = data.find(b"\n") + 1
    if not end:
        end = data.find(b"\r") + 1 or len(data)
    text.unread(data[end:])
    return data[:end]


def _distinct(names: list[str]) -> list[str]:
    found: list[str] = []
    for number, name in enumerate(names, 1):
        wish = name.strip() or f"column_{number}"
        candidate, suffix = wish, 2
        while candidate in found:
            candidate, suffix = f"{wish}_{suffix}", suffix + 1
        found.append(candidate)
    return found
