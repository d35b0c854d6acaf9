"""Canonical texts of Arrow values: one text per value, the same on every machine and through every change of width.

Putting texts together to keys and rows is ``canonical``'s.

========================  =====================================================  =============
type                      text                                                   JSON
========================  =====================================================  =============
null                      (null)                                                 ``null``
bool, integers            ``true``, ``-5``                                       as it is
floats                    shortest text that reads back equal                    as it is
NaN and infinities        ``NaN``, ``Infinity``, ``-Infinity``                   string
decimals                  no exponent, no trailing zeros: ``0.0001``, ``12``     string
text                      as it is                                               string
binary                    hexadecimal, lower case                                string
timestamps                ``2026-01-31T12:00:00.000000``, with ``Z`` if zoned    string
dates, times              ``2026-01-31``, ``12:00:00.000000``                    string
durations                 count of their unit                                    as it is
lists, structs            their JSON                                             array, object
========================  =====================================================  =============

Years before 0 and after 9999 are written with as many digits as they have (``-44``, ``294276``).
"""

from __future__ import annotations

import json
import math
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

TEXT = pa.large_string()

_NEEDS_ESCAPE = r'["\\\x00-\x1f]'
_CONTROL = r"[\x00-\x1f]"
_HEX = np.frombuffer(b"".join(b"%02x" % byte for byte in range(256)), dtype=np.uint16)
#: From the year 0 up to before the year 10000 since 1970; all nanoseconds lie there.
_FOUR_DIGIT_YEARS = {
    "D": (-719_528, 2_932_897),
    "us": (-719_528 * 86_400_000_000, 2_932_897 * 86_400_000_000),
    "ns": (-math.inf, math.inf),
}
_ZONE = {True: "Z", False: ""}


def plain(values: pa.Array | pa.ChunkedArray) -> pa.Array | pa.ChunkedArray:
    """The same values in a type that compute kernels know: views, dictionaries and extensions resolved."""
    kind = values.type
    if isinstance(kind, pa.BaseExtensionType):
        return plain(values.cast(kind.storage_type))
    if pa.types.is_dictionary(kind):
        return plain(values.cast(kind.value_type))
    if pa.types.is_string_view(kind):
        return values.cast(pa.large_string())
    if pa.types.is_binary_view(kind):
        return values.cast(pa.large_binary())
    return values


def one_array(values: pa.Array | pa.ChunkedArray) -> pa.Array:
    """The values as a single array."""
    if not isinstance(values, pa.ChunkedArray):
        return values
    if values.num_chunks == 1:
        return values.chunk(0)
    return pa.concat_arrays(values.chunks) if values.num_chunks else pa.array([], values.type)


def texts(values: pa.Array) -> pa.Array:
    """The canonical text of each value (large_string), null where the value is null.

    Raises ``TypeError`` for a type that has no canonical text.
    """
    values = plain(values)
    kind = values.type
    if is_text(kind):
        return values.cast(TEXT)
    if is_binary(kind):
        return _hexadecimal(values)
    if pa.types.is_boolean(kind) or pa.types.is_integer(kind):
        return values.cast(TEXT)
    if pa.types.is_floating(kind):
        return _float_texts(values)
    if pa.types.is_decimal(kind):
        return _decimal_texts(values)
    if pa.types.is_temporal(kind):
        return _temporal_texts(values)
    if pa.types.is_null(kind):
        return pa.nulls(len(values), TEXT)
    return _nested_texts(values)


def literals(values: pa.Array) -> pa.Array:
    """The JSON literal of each value (large_string); ``null`` where the value is null."""
    values = plain(values)
    kind = values.type
    text = texts(values)
    if is_text(kind):
        text = quoted(text)
    elif pa.types.is_floating(kind):
        text = pc.if_else(pc.is_finite(values), text, _around(text))
    elif not (pa.types.is_boolean(kind) or pa.types.is_integer(kind) or pa.types.is_duration(kind) or _is_nested(kind)):
        text = _around(text)
    return pc.fill_null(text, pa.scalar("null", TEXT))


def quoted(text: pa.Array) -> pa.Array:
    """Texts as JSON strings, null where null."""
    if not pc.any(pc.match_substring_regex(text, _NEEDS_ESCAPE)).as_py():
        return _around(text)
    control = pc.match_substring_regex(text, _CONTROL)
    escaped = pc.replace_substring(pc.replace_substring(text, "\\", "\\\\"), '"', '\\"')
    result = _around(escaped)
    if not pc.any(control).as_py():
        return result
    rare = [json.dumps(value, ensure_ascii=False) for value in text.filter(control).to_pylist()]
    return pc.replace_with_mask(result, pc.fill_null(control, False), pa.array(rare, TEXT))


def is_text(kind: pa.DataType) -> bool:
    """Whether values of this type are text."""
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def is_binary(kind: pa.DataType) -> bool:
    """Whether values of this type are bytes."""
    tests = (pa.types.is_binary, pa.types.is_large_binary, pa.types.is_binary_view, pa.types.is_fixed_size_binary)
    return any(test(kind) for test in tests) and not pa.types.is_decimal(kind)


def is_list(kind: pa.DataType) -> bool:
    """Whether values of this type are lists."""
    tests = (pa.types.is_list, pa.types.is_large_list, pa.types.is_fixed_size_list)
    return any(test(kind) for test in tests)


def joined(*parts: pa.Array | str) -> pa.Array:
    """Texts put together row by row, null where one of them is null."""
    pieces = [pa.scalar(part, TEXT) if isinstance(part, str) else part for part in parts]
    return pc.binary_join_element_wise(*pieces, pa.scalar("", TEXT))


def object_texts(members: list[tuple[str, pa.Array, np.ndarray | None]]) -> pa.Array:
    """JSON objects from (name, literals, rows where the member is left out) of each member, in this order."""
    pieces = []
    for name, values, absent in members:
        piece = joined(json.dumps(name, ensure_ascii=False) + ":", values, ",")
        if absent is not None:
            piece = pc.if_else(pa.array(absent), pa.scalar("", TEXT), piece)
        pieces.append(piece)
    return joined("{", pc.ascii_rtrim(joined(*pieces), ","), "}")


def _around(text: pa.Array) -> pa.Array:
    return joined('"', text, '"')


def _float_texts(values: pa.Array) -> pa.Array:
    if pa.types.is_float16(values.type):
        values = values.cast(pa.float32())
    text = values.cast(TEXT)
    if pc.all(pc.is_finite(values)).as_py() is not False:
        return text
    infinity = pc.if_else(pc.greater(values, 0), pa.scalar("Infinity", TEXT), pa.scalar("-Infinity", TEXT))
    text = pc.if_else(pc.is_inf(values), infinity, text)
    return pc.if_else(pc.is_nan(values), pa.scalar("NaN", TEXT), text)


def _decimal_texts(values: pa.Array) -> pa.Array:
    text = values.cast(TEXT)
    exponent = pc.match_substring(text, "E")
    if pc.any(exponent).as_py():
        spelt = [format(Decimal(value), "f") for value in text.filter(exponent).to_pylist()]
        text = pc.replace_with_mask(text, pc.fill_null(exponent, False), pa.array(spelt, TEXT))
    fraction = pc.match_substring(text, ".")
    return pc.if_else(fraction, pc.ascii_rtrim(pc.ascii_rtrim(text, "0"), "."), text)


def _temporal_texts(values: pa.Array) -> pa.Array:
    kind = values.type
    if pa.types.is_duration(kind):
        return values.cast(pa.int64()).cast(TEXT)
    if pa.types.is_date(kind):
        return _dated_texts(values.cast(pa.date32()), "D", zoned=False)
    if pa.types.is_time(kind):
        return (values.cast(pa.time64("us")) if kind.unit in {"s", "ms"} else values).cast(TEXT)
    if pa.types.is_timestamp(kind):
        unit = "ns" if kind.unit == "ns" else "us"
        bare = values.cast(pa.timestamp(kind.unit)) if kind.tz is None else values.cast(pa.timestamp(kind.unit, "UTC"))
        bare = bare.cast(pa.int64()).cast(pa.timestamp(kind.unit)).cast(pa.timestamp(unit))
        return _dated_texts(bare, unit, zoned=kind.tz is not None)
    raise TypeError(f"values of type {kind} have no canonical text")


def _dated_texts(values: pa.Array, unit: str, *, zoned: bool) -> pa.Array:
    """Arrow writes the years 0 to 9999 fast and some others not at all: NumPy writes the others."""
    text = values.cast(TEXT)
    if unit != "D":
        text = joined(pc.replace_substring(text, " ", "T", max_replacements=1), _ZONE[zoned])
    counts = pc.fill_null(values.cast(pa.int32() if unit == "D" else pa.int64()), 0).to_numpy(zero_copy_only=False)
    first, end = _FOUR_DIGIT_YEARS[unit]
    odd = (counts < first) | (counts >= end)
    if not odd.any():
        return text
    dates = counts[odd].astype(np.int64).view(f"datetime64[{unit}]")
    spelt = pa.array([item + _ZONE[zoned] for item in np.datetime_as_string(dates).tolist()], TEXT)
    return pc.replace_with_mask(text, pa.array(odd), spelt)


def _hexadecimal(values: pa.Array) -> pa.Array:
    values = values.cast(pa.large_binary())
    buffers = values.buffers()
    offsets = np.frombuffer(buffers[1], dtype=np.int64)[values.offset : values.offset + len(values) + 1]
    if len(values) == 0:
        return pa.array([], TEXT)
    data = np.frombuffer(buffers[2], dtype=np.uint8)[offsets[0] : offsets[-1]] if buffers[2] else np.empty(0, np.uint8)
    text = pa.py_buffer(_HEX[data])
    result = pa.Array.from_buffers(TEXT, len(values), [None, pa.py_buffer((offsets - offsets[0]) * 2), text])
    return pc.if_else(values.is_valid(), result, pa.scalar(None, TEXT)) if values.null_count else result


def _is_nested(kind: pa.DataType) -> bool:
    return bool(is_list(kind) or pa.types.is_map(kind) or pa.types.is_struct(kind))


def _nested_texts(values: pa.Array) -> pa.Array:
    kind = values.type
    if pa.types.is_struct(kind):
        names = [kind.field(number).name for number in range(kind.num_fields)]
        text = object_texts([(name, literals(values.field(name)), None) for name in names])
    elif is_list(kind) or pa.types.is_map(kind):
        if pa.types.is_map(kind):
            values = values.cast(pa.list_(pa.struct([("key", kind.key_type), ("value", kind.item_type)])))
        lengths = pc.fill_null(pc.list_value_length(values), 0).to_numpy(zero_copy_only=False)
        offsets = np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)])
        items = pa.LargeListArray.from_arrays(pa.array(offsets), literals(pc.list_flatten(values)))
        text = joined("[", pc.binary_join(items, pa.scalar(",", TEXT)), "]")
    else:
        raise TypeError(f"values of type {kind} have no canonical text")
    return pc.if_else(values.is_valid(), text, pa.scalar(None, TEXT))
