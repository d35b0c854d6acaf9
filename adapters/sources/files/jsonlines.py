"""JSON lines: an object in each line, read block by block; a block with anything unusual in it line by line.

Objects and arrays within become JSON texts with every digit kept. Members that no column is known for are kept apart.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.json

from adapters.sources.files.blocks import TEXT_CHARS, BadLine, Block
from adapters.sources.files.content import Text, Unreadable, legible
from adapters.sources.files.typewords import JSON, TEXT, UNKNOWN, Shape, unified
from pipeline.domain.valuetext import one_array

NOT_JSON = "text that is not JSON"
NOT_OBJECT = "JSON that is not an object"
TOO_DEEP = "JSON that is nested too deep"
HALF_PAIR = "text with half of a surrogate pair"

#: A line may be so many blocks long.
_MOST_BLOCKS = 8
#: So much of a block is parsed at a time, by as many threads as there are cores.
_PART_BYTES = 512 * 1024

_BLANK = b" \t\r\n"
#: Without this, or a text like it, no two objects are in one line.
_TWO_OBJECTS = re.compile(rb"\}[ \t\r]*\{")
_INTEGERS = 1 << 63
_MOST_DIGITS = 100


class _Number(str):
    """A number as it is written."""

    __slots__ = ()


def read_jsonl(text: Text, shapes: Mapping[str, Shape], *, keeps_extra: bool, block_bytes: int) -> Iterator[Block]:
    """The file's rows with the columns of ``shapes``, by member name. Other members are ``extra``, or left out."""
    reader = _Lines(shapes, keeps_extra=keeps_extra)
    rest, line = b"", 1
    while True:
        piece = text.read(block_bytes)
        data = rest + piece
        cut = data.rfind(b"\n") + 1 if piece else len(data)
        rest = data[cut:]
        if cut:
            count = data.count(b"\n", 0, cut) + (not data.endswith(b"\n", 0, cut))
            yield reader.block(data, cut, first_line=line, count=count, has_odd_bytes=text.has_odd_bytes)
            line += count
        if not piece:
            return
        if len(rest) > _MOST_BLOCKS * block_bytes:
            raise Unreadable("line of more than eight blocks")


def shapes_of(sample: bytes) -> dict[str, Shape]:
    """The columns that whole lines show."""
    found: dict[str, Shape] = {}
    for line in sample.splitlines():
        try:
            document = _document(line)
        except _NoRow:
            continue
        for name, value in document.items():
            if _is_text(name):
                found[name] = unified(found.get(name, UNKNOWN), _shape_of(value))
    return found


class _Lines:
    """Reads blocks of whole lines."""

    def __init__(self, shapes: Mapping[str, Shape], *, keeps_extra: bool) -> None:
        self._shapes = shapes
        self._keeps_extra = keeps_extra
        fast = {name: _read_as(shape) for name, shape in shapes.items()}
        self._schema = pa.schema(list(fast.items())) if not any(shape.json for shape in shapes.values()) else None

    def block(self, data: bytes, size: int, *, first_line: int, count: int, has_odd_bytes: bool) -> Block:
        """The rows of ``count`` lines, which are the first ``size`` bytes."""
        if self._schema is not None and not has_odd_bytes:
            for part_bytes in (_PART_BYTES, size):
                table = self._at_once(pa.py_buffer(data).slice(0, size), part_bytes)
                if table is not None and table.num_rows == count and _is_one_each(data, size, count):
                    columns = {name: one_array(table[name]) for name in self._shapes}
                    return Block(columns, np.arange(first_line, first_line + count, dtype=np.int64))
        return self._one_by_one(data[:size], first_line)

    def _at_once(self, data: pa.Buffer, part_bytes: int) -> pa.Table | None:
        """What Arrow reads, if it reads it all; a line may be as long as a part."""
        behavior = "error" if self._keeps_extra else "ignore"
        try:
            return pa.json.read_json(
                pa.BufferReader(data),
                read_options=pa.json.ReadOptions(use_threads=True, block_size=part_bytes),
                parse_options=pa.json.ParseOptions(explicit_schema=self._schema, unexpected_field_behavior=behavior),
            )
        except pa.ArrowInvalid:
            return None

    def _one_by_one(self, data: bytes, first_line: int) -> Block:
        lines: list[int] = []
        bad: list[BadLine] = []
        values: dict[str, list[str | None]] = {name: [] for name in self._shapes}
        extra: list[str | None] = []
        for number, line in enumerate(data.split(b"\n"), first_line):
            if not line.strip(_BLANK):
                continue
            try:
                texts, others = self._texts(line)
            except _NoRow as error:
                bad.append(BadLine(number, legible(line.decode(), limit=TEXT_CHARS), error.reason))
                continue
            lines.append(number)
            for kept, text in zip(values.values(), texts, strict=True):
                kept.append(text)
            extra.append(others)
        return Block(
            {name: pa.array(kept, pa.string()) for name, kept in values.items()},
            np.array(lines, np.int64),
            tuple(bad),
            pa.array(extra, pa.string()) if self._keeps_extra else None,
        )

    def _texts(self, line: bytes) -> tuple[list[str | None], str | None]:
        """A line's values by column, and what is extra; raises ``_NoRow``."""
        document = _document(line)
        try:
            texts = [_text(document.get(name), is_json=shape.json) for name, shape in self._shapes.items()]
            extra = self._extra(document) if self._keeps_extra else None
        except RecursionError:
            raise _NoRow(TOO_DEEP) from None
        if rb"\u" in line and not all(text is None or _is_text(text) for text in (*texts, extra)):
            raise _NoRow(HALF_PAIR)
        return texts, extra

    def _extra(self, document: Mapping[str, Any]) -> str | None:
        others = {name: value for name, value in document.items() if name not in self._shapes}
        return _written(others) if others else None


def _is_one_each(data: bytes, size: int, count: int) -> bool:
    """Whether each of ``count`` lines has one of as many objects: lines of two and of none make the same number."""
    return data.count(b"}\n{", 0, size) == count - 1 or _TWO_OBJECTS.search(data, 0, size) is None


class _NoRow(Exception):
    """A line that is no row; the reason is a phrase without values."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def _document(line: bytes) -> dict[str, Any]:
    """A line's document with numbers as written; raises ``_NoRow``."""
    try:
        document = json.loads(line, parse_float=_Number, parse_int=_Number, parse_constant=_refuse)
    except RecursionError:
        raise _NoRow(TOO_DEEP) from None
    except ValueError:
        raise _NoRow(NOT_JSON) from None
    if not isinstance(document, dict):
        raise _NoRow(NOT_JSON if document is None else NOT_OBJECT)
    return document


def _refuse(_word: str) -> None:
    raise ValueError("NaN and Infinity are no JSON")


def _is_text(text: str) -> bool:
    """Whether it can be encoded: an escape may be half of a surrogate pair."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _text(value: object, *, is_json: bool) -> str | None:
    if value is None or (isinstance(value, str) and not is_json):
        return value
    return _written(value)


def _written(value: object) -> str:
    """A document as text, its numbers as they were."""
    if isinstance(value, _Number):
        return str(value)
    if isinstance(value, dict):
        members = (f"{json.dumps(name, ensure_ascii=False)}:{_written(item)}" for name, item in value.items())
        return f"{{{','.join(members)}}}"
    if isinstance(value, list):
        return f"[{','.join(map(_written, value))}]"
    return json.dumps(value, ensure_ascii=False)


def _shape_of(value: object) -> Shape:
    if value is None:
        return UNKNOWN
    if isinstance(value, bool):
        return Shape(pa.bool_())
    if isinstance(value, _Number):
        if set(value) & set(".eE"):
            return Shape(pa.float64())
        is_short = len(value) <= _MOST_DIGITS  # Python reads no number of thousands of digits
        return Shape(pa.int64()) if is_short and -_INTEGERS <= int(value) < _INTEGERS else TEXT
    return TEXT if isinstance(value, str) else JSON


def _read_as(shape: Shape) -> pa.DataType:
    """The type that Arrow's reader takes for a column: numbers and truth values; of all else the text."""
    kind = shape.type
    is_plain = pa.types.is_int64(kind) or pa.types.is_float64(kind) or pa.types.is_boolean(kind)
    return kind if is_plain else pa.string()
