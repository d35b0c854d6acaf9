"""Generated Arrow columns of many types, and the same values held in other ways."""

from __future__ import annotations

import datetime as dt
import math
import struct
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pyarrow as pa
from hypothesis import strategies as st

_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20) | st.sampled_from(["", "a" * 600, "ä" * 7])
_BYTES = st.binary(max_size=12)
_FLOATS = st.floats(width=32) | st.sampled_from([0.0, -0.0, math.nan, math.inf, -math.inf])
_POINT = pa.struct([("x", pa.int64()), ("names", pa.list_(pa.string()))])

#: Types, and what their values are.
KINDS: list[tuple[pa.DataType, st.SearchStrategy[Any]]] = [
    (pa.bool_(), st.booleans()),
    (pa.int8(), st.integers(-128, 127)),
    (pa.uint64(), st.integers(0, 2**64 - 1)),
    (pa.int64(), st.integers(-(2**63), 2**63 - 1)),
    (pa.float32(), _FLOATS),
    (pa.float64(), _FLOATS),
    (pa.decimal128(20, 3), st.decimals(-(10**15), 10**15, places=3)),
    (pa.decimal256(50, 2), st.decimals(-(10**40), 10**40, places=2)),
    (pa.string(), _TEXT),
    (pa.large_string(), _TEXT),
    (pa.string_view(), _TEXT),
    (pa.dictionary(pa.int32(), pa.string()), st.sampled_from(["red", "green", "blue", ""])),
    (pa.binary(), _BYTES),
    (pa.binary(4), st.binary(min_size=4, max_size=4)),
    (pa.date32(), st.dates()),
    (pa.date64(), st.dates()),
    (pa.time64("us"), st.times()),
    (pa.timestamp("us"), st.datetimes()),
    (pa.timestamp("ms", "UTC"), st.datetimes(timezones=st.just(dt.UTC)).map(lambda at: at.replace(microsecond=0))),
    (pa.duration("us"), st.timedeltas(dt.timedelta(-999), dt.timedelta(999))),
    (pa.list_(pa.int64()), st.lists(st.none() | st.integers(-9, 9), max_size=3)),
    (pa.list_(pa.float64(), 2), st.lists(_FLOATS, min_size=2, max_size=2)),
    (_POINT, st.fixed_dictionaries({"x": st.none() | st.integers(0, 9), "names": st.lists(_TEXT, max_size=2)})),
    (pa.null(), st.none()),
]

#: How the same values may be held otherwise.
Form = Callable[[pa.Array], pa.Array | pa.ChunkedArray]


def forms(array: pa.Array) -> list[Form]:
    """Ways of holding an array of this type that change no value."""
    kind, values = array.type, array.to_pylist()
    found: list[Form] = [
        lambda held: held,
        lambda held: pa.chunked_array([held.slice(0, len(held) // 2), held.slice(len(held) // 2)], kind),
        lambda held: pa.concat_arrays([held, held, held]).slice(len(held), len(held)),
        lambda held: pa.array([values[0] if values else None, *values], kind).slice(1),
    ]
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        wider = [pa.string(), pa.large_string(), pa.string_view(), pa.dictionary(pa.int32(), pa.string())]
        found += [lambda _, to=to: pa.array(values, to) for to in wider]
    if pa.types.is_signed_integer(kind):
        found.append(lambda _: pa.array(values, pa.int64()))
    if pa.types.is_floating(kind):
        found.append(lambda held: held.cast(pa.float64()))
    return found


def same(left: Any, right: Any) -> bool:
    """Whether two values are the same: NaN is itself, and -0.0 is not 0.0."""
    return frozen(left) == frozen(right)


def frozen(value: Any) -> Any:
    """A value that can be compared and hashed, different values differently."""
    if isinstance(value, float):
        return "NaN" if math.isnan(value) else struct.pack(">d", value)
    if isinstance(value, dict):
        return tuple((name, frozen(item)) for name, item in value.items())
    if isinstance(value, list):
        return tuple(frozen(item) for item in value)
    if isinstance(value, Decimal):
        return str(value)
    return (type(value).__name__, value)
