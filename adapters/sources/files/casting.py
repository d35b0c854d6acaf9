"""Values of a file as values of a column's type: whole columns at once, and one by one where that is refused.

A value that the type cannot hold exactly is null in the result and listed with its text (P7); nothing raises.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import UTC, date, datetime, time
from decimal import Decimal, InvalidOperation

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from adapters.sources.files.blocks import TEXT_CHARS
from adapters.sources.files.content import ODD_BYTES, legible
from pipeline.domain.schema import Column
from pipeline.domain.valuetext import literals, one_array, plain, texts

NOT_ENCODED = "bytes that are not of the encoding"
NOT_JSON = "text that is not JSON"
UNFIT = "value that the column's type cannot hold"

_NUMERAL = re.compile(r"[+-]?[0-9]+(?:\.[0-9]*)?")
_MAX_DIGITS = 38

#: Rows (rising), and the text of each value that did not fit; the reason.
Unfit = tuple[np.ndarray, pa.Array, str]


def cast(
    column: Column, values: pa.Array | pa.ChunkedArray, *, has_odd_bytes: bool = False, is_json: bool = False
) -> tuple[pa.Array, list[Unfit]]:
    """``values`` as the column's type, and what did not fit. ``is_json``: texts are known to be."""
    array = one_array(values)
    kind = column.type
    if pa.types.is_nested(array.type):
        is_json = True
        documents = literals(array).cast(pa.string())
        array = pc.if_else(array.is_valid(), documents, pa.scalar(None, pa.string()))
    if not pa.types.is_string(array.type):
        return _converted(array, kind)
    odd: list[Unfit] = []
    if has_odd_bytes:
        array, odd = _without_odd_bytes(array)
    if pa.types.is_string(kind):
        return _documents(array, odd) if column.json and not is_json else (array, odd)
    found, unfit = _parsed(array, kind)
    return found, [*odd, *unfit]


def _documents(array: pa.Array, odd: list[Unfit]) -> tuple[pa.Array, list[Unfit]]:
    """Texts that are JSON documents."""
    wrong = [number for number, text in enumerate(array.to_pylist()) if text is not None and not _is_json(text)]
    if not wrong:
        return array, odd
    rows = np.array(wrong, np.int64)
    mask = np.zeros(len(array), dtype=bool)
    mask[rows] = True
    return pc.if_else(pa.array(mask), pa.scalar(None, pa.string()), array), [*odd, _unfit(array, rows, NOT_JSON)]


def _is_json(text: str) -> bool:
    try:
        json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return False
    return True


def _refuse(_word: str) -> None:
    raise ValueError("NaN and Infinity are no JSON")


def _without_odd_bytes(array: pa.Array) -> tuple[pa.Array, list[Unfit]]:
    odd = pc.fill_null(pc.match_substring_regex(array, ODD_BYTES), False)
    rows = np.flatnonzero(odd.to_numpy(zero_copy_only=False))
    if not len(rows):
        return array, []
    return pc.if_else(odd, pa.scalar(None, pa.string()), array), [_unfit(array, rows, NOT_ENCODED)]


def _converted(array: pa.Array, kind: pa.DataType) -> tuple[pa.Array, list[Unfit]]:
    """Values of a format's own type."""
    array = plain(array)
    if array.type == kind:
        return array, []
    if pa.types.is_string(kind):
        return texts(array).cast(kind), []
    if pa.types.is_string(array.type) or pa.types.is_large_string(array.type):
        return _parsed(array.cast(pa.string()), kind)
    try:
        return array.cast(kind), []
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        return _one_by_one(array, kind, lambda value: value.cast(kind).as_py())


def _parsed(array: pa.Array, kind: pa.DataType) -> tuple[pa.Array, list[Unfit]]:
    """Values that texts spell; blanks around them are not theirs, and an empty text is no value."""
    found = _at_once(array, kind)
    if found is None:
        array = pc.ascii_trim_whitespace(array)
        array = pc.if_else(pc.equal(pc.binary_length(array), 0), pa.scalar(None, pa.string()), array)
        found = _at_once(array, kind)
    return _one_by_one(array, kind, _reader(kind)) if found is None else (found, [])


def _at_once(array: pa.Array, kind: pa.DataType) -> pa.Array | None:
    """The values if Arrow reads all of the texts."""
    try:
        return array.cast(kind) if _is_readable(array, kind) else None
    except pa.ArrowInvalid:
        return None


def _is_readable(array: pa.Array, kind: pa.DataType) -> bool:
    """Whether Arrow reads these texts right or refuses them: it takes ``0x1F`` for a number, and numbers of too many
    digits for other numbers.
    """
    if pa.types.is_integer(kind):
        return not _has_x(array)
    if pa.types.is_decimal(kind):
        pattern = rf"^-?[0-9]+(?:\.[0-9]{{1,{kind.scale}}})?$" if kind.scale else "^-?[0-9]+$"
        longest = pc.max(pc.binary_length(array)).as_py() or 0
        usual = pc.all(pc.match_substring_regex(array, pattern), min_count=0).as_py()
        return bool(longest <= _MAX_DIGITS - kind.scale and usual)
    return not (pa.types.is_time(kind) or pa.types.is_binary(kind))


def _has_x(array: pa.Array) -> bool:
    """Whether any text has an ``x`` in it."""
    _, offsets, data = array.buffers()
    if data is None or not len(array):
        return False
    at = np.frombuffer(offsets, np.int32)
    first, end = at[array.offset], at[array.offset + len(array)]
    characters = np.frombuffer(data, np.uint8)[first:end]
    return bool(((characters | 0x20) == ord("x")).any())


def _one_by_one(
    array: pa.Array, kind: pa.DataType, read: Callable[[pa.Scalar], object]
) -> tuple[pa.Array, list[Unfit]]:
    """Each distinct value alone."""
    encoded = array.dictionary_encode()
    found: list[object] = []
    failed = []
    for number, value in enumerate(encoded.dictionary):
        try:
            found.append(pa.scalar(read(value), kind).as_py())
        except (ValueError, TypeError, ArithmeticError, pa.ArrowException):
            found.append(None)
            failed.append(number)
    values = pa.array(found, kind).take(encoded.indices)
    if not failed:
        return values, []
    lost = pc.fill_null(pc.is_in(encoded.indices, value_set=pa.array(failed, encoded.indices.type)), False)
    rows = np.flatnonzero(pc.and_(lost, array.is_valid()).to_numpy(zero_copy_only=False))
    return values, [_unfit(texts(array), rows, UNFIT)]


def _unfit(array: pa.Array, rows: np.ndarray, reason: str) -> Unfit:
    shown = [legible(str(text), limit=TEXT_CHARS) for text in array.take(pa.array(rows)).to_pylist()]
    return rows, pa.array(shown, pa.string()), reason


def _reader(kind: pa.DataType) -> Callable[[pa.Scalar], object]:
    readers: list[tuple[Callable[[pa.DataType], bool], Callable[[str], object]]] = [
        (pa.types.is_integer, _integer),
        (pa.types.is_floating, _floating),
        (pa.types.is_decimal, lambda text: _decimal(text, kind)),
        (pa.types.is_boolean, _boolean),
        (pa.types.is_date, date.fromisoformat),
        (pa.types.is_time, time.fromisoformat),
        (pa.types.is_timestamp, lambda text: _timestamp(text, zoned=bool(kind.tz))),
        (pa.types.is_binary, bytes.fromhex),
    ]
    read = next(read for test, read in readers if test(kind))
    return lambda value: read(value.as_py())


def _integer(text: str) -> int:
    if not re.fullmatch(r"[+-]?[0-9]+(?:\.0*)?", text):
        raise ValueError("no integer")
    return int(text.partition(".")[0])


def _floating(text: str) -> float:
    if "_" in text:
        raise ValueError("Python would read 1_000 as a number")
    return float(text)


def _decimal(text: str, kind: pa.DataType) -> Decimal:
    if not _NUMERAL.fullmatch(text):
        raise ValueError("no decimal number")
    whole, _, decimals = text.partition(".")
    decimals = decimals.rstrip("0")
    if len(decimals) > kind.scale:
        raise InvalidOperation("too many digits after the point")
    return Decimal(f"{whole}.{decimals}")


def _boolean(text: str) -> bool:
    return ("false", "0", "true", "1").index(text.lower()) >= 2


def _timestamp(text: str, *, zoned: bool) -> datetime:
    if re.search(r"\.[0-9]{7,}", text):
        raise ValueError("more digits than microseconds have")
    instant = datetime.fromisoformat(text)
    if zoned != (instant.tzinfo is not None):
        raise ValueError("a zone is missing, or too many")
    return instant.astimezone(UTC) if zoned else instant
