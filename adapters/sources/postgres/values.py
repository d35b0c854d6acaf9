"""The value codec: texts in PostgreSQL's output format become typed Arrow columns, whole columns at a time.

Expects DateStyle ISO, IntervalStyle iso_8601, TimeZone UTC, bytea_output hex and extra_float_digits 1. Which type a
column has is ``types``' decision; values that fast casts refuse are read one by one in ``odd_values``.
"""

from __future__ import annotations

from collections.abc import Callable

import attrs
import pyarrow as pa
import pyarrow.compute as pc

from adapters.sources.postgres import odd_values
from adapters.sources.postgres.arrays import arrays_to_json, is_array
from adapters.sources.postgres.bytea import decode_hex
from adapters.sources.postgres.odd_values import Outcome
from pipeline.domain.schema import Column

#: Rows (int64) whose value the column's type cannot hold, their texts, and the reason.
Misfits = list[tuple[pa.Int64Array, pa.StringArray, str]]

_DATE = r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
_TIME = r"[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,6})?"

#: What a 128-bit decimal holds for certain.
MAX_DIGITS = 38

#: Years 1 to 9999 in microseconds since 1970, both inclusive.
FIRST_MICROSECOND = -62_135_596_800_000_000
LAST_MICROSECOND = 253_402_300_799_999_999

_NOT_UTF8 = "bytes that are not UTF-8"


@attrs.frozen
class _Codec:
    """``usual`` matches texts that ``cast`` is known to read right; ``odd`` reads any text, one at a time.

    Texts no longer than ``length`` may be given to ``cast`` unseen: it reads them right or refuses all of them.
    """

    usual: str
    cast: Callable[[pa.Array], pa.Array]
    odd: Callable[[str], Outcome]
    length: int | None = None


def parse(column: Column, texts: pa.Array) -> tuple[pa.Array, Misfits]:
    """Values of ``column.type`` from texts (string, string_view, or binary holding UTF-8), and what did not fit.

    A value that the type cannot hold exactly is null in the result and listed among the misfits; nothing is rounded,
    clamped or dropped silently (P7), and no text raises.
    """
    if pa.types.is_binary(texts.type):
        texts = texts.view(pa.string())
    elif texts.type != pa.string():
        texts = texts.cast(pa.string())
    kind = column.type
    if pa.types.is_string(kind):
        return _texts(column, texts)
    if pa.types.is_binary(kind):
        return _by_rows(texts, *decode_hex(texts))
    if pa.types.is_boolean(kind):
        return _booleans(texts)
    return _numbers_and_times(texts, _codec(kind))


def _texts(column: Column, texts: pa.Array) -> tuple[pa.Array, Misfits]:
    misfits: Misfits = []
    try:
        texts.validate(full=True)
    except pa.ArrowInvalid:
        texts, misfits = _set_apart_invalid(texts)
    if column.json and is_array(column.source_type):
        values, more = _by_rows(texts, *arrays_to_json(texts, column.source_type))
        return values, misfits + more
    return texts, misfits


def _set_apart_invalid(texts: pa.Array) -> tuple[pa.Array, Misfits]:
    """Of a database whose encoding is SQL_ASCII, rows may hold any bytes."""
    raw = texts.view(pa.binary())
    valid, rows, shown = [], [], []
    for row, value in enumerate(raw.to_pylist()):
        try:
            valid.append(None if value is None else value.decode())
        except UnicodeDecodeError:
            valid.append(None)
            rows.append(row)
            shown.append(value.decode(errors="backslashreplace"))
    return pa.array(valid, pa.string()), [(pa.array(rows, pa.int64()), pa.array(shown, pa.string()), _NOT_UTF8)]


def _by_rows(texts: pa.Array, values: pa.Array, lost: pa.Array, reason: str) -> tuple[pa.Array, Misfits]:
    if not len(lost):
        return values, []
    return values, [(lost, _readable(texts.take(lost)), reason)]


def _booleans(texts: pa.Array) -> tuple[pa.Array, Misfits]:
    values = pc.equal(texts, "t")
    known = pc.or_(values, pc.equal(texts, "f"))
    if pc.all(known, min_count=0).as_py():
        return values, []
    lost = pc.indices_nonzero(pc.invert(known)).cast(pa.int64())
    return _by_rows(texts, pc.if_else(known, values, None), lost, odd_values.UNREADABLE)


def _numbers_and_times(texts: pa.Array, codec: _Codec) -> tuple[pa.Array, Misfits]:
    if codec.length is None or (pc.max(pc.binary_length(texts)).as_py() or 0) <= codec.length:
        try:
            return codec.cast(texts), []
        except pa.ArrowInvalid:
            pass
    usual = pc.fill_null(pc.match_substring_regex(texts, codec.usual), False)
    try:
        values = codec.cast(pc.if_else(usual, texts, None))
    except pa.ArrowInvalid:
        usual = pc.and_(usual, False)
        values = codec.cast(pc.if_else(usual, texts, None))
    return _mend(texts, values, usual=usual, odd=codec.odd)


def _mend(
    texts: pa.Array, values: pa.Array, *, usual: pa.Array, odd: Callable[[str], Outcome]
) -> tuple[pa.Array, Misfits]:
    """Read what is not usual by distinct texts, and put it in its places."""
    rows = pc.indices_nonzero(pc.and_not(pc.is_valid(texts), usual)).cast(pa.int64())
    encoded = _readable(texts.take(rows)).dictionary_encode()
    outcomes = [odd(text) for text in encoded.dictionary.to_pylist()]
    found = pa.array([outcome.value for outcome in outcomes], values.type).take(encoded.indices)
    values = pc.replace_with_mask(values, pc.and_not(pc.is_valid(texts), usual), found)
    reasons = pa.array([outcome.reason for outcome in outcomes], pa.string()).take(encoded.indices)
    misfits: Misfits = []
    for reason in dict.fromkeys(outcome.reason for outcome in outcomes if outcome.reason is not None):
        chosen = pc.fill_null(pc.equal(reasons, reason), False)
        misfits.append((rows.filter(chosen), encoded.cast(pa.string()).filter(chosen), reason))
    return values, misfits


def _readable(texts: pa.Array) -> pa.Array:
    """The texts, with bytes that are not UTF-8 written as escapes."""
    try:
        texts.validate(full=True)
    except pa.ArrowInvalid:
        shown = [None if raw is None else raw.decode(errors="backslashreplace") for raw in _raw(texts)]
        return pa.array(shown, pa.string())
    return texts


def _raw(texts: pa.Array) -> list[bytes | None]:
    values: list[bytes | None] = texts.view(pa.binary()).to_pylist()
    return values


def _codec(kind: pa.DataType) -> _Codec:
    def cast(texts: pa.Array) -> pa.Array:
        return pc.cast(texts, kind)

    if pa.types.is_decimal(kind):
        return _decimal(kind, cast)
    if pa.types.is_integer(kind):
        return _Codec(r"^-?[0-9]{1,9}$" if kind.bit_width > 32 else r"^-?[0-9]{1,4}$", cast, odd_values.integer(kind))
    if pa.types.is_floating(kind):
        return _Codec(r"^-?[0-9]+(?:\.[0-9]+)?(?:e[-+][0-9]+)?$", cast, odd_values.floating)
    if pa.types.is_date(kind):
        return _Codec(f"^{_DATE}$", cast, odd_values.date)
    if pa.types.is_time(kind):
        return _Codec(f"^{_TIME}$", _cast_time, odd_values.time)
    if pa.types.is_timestamp(kind):
        zone = r"[-+][0-9]{2}(?::[0-9]{2})?" if kind.tz else ""
        read = _within_years(cast) if kind.tz else cast
        return _Codec(f"^{_DATE} {_TIME}{zone}$", read, odd_values.timestamp(zoned=bool(kind.tz)))
    raise TypeError(f"no codec for columns of type {kind}")


def _decimal(kind: pa.DataType, cast: Callable[[pa.Array], pa.Array]) -> _Codec:
    """Arrow reads numbers of too many digits as other numbers, without an error: it must not see any.

    Below 38 characters less those added by scaling no overflow is possible, and precision is checked by the cast.
    """
    whole = kind.precision - kind.scale
    before = f"(?:0|[0-9]{{1,{whole}}})" if whole else "0"
    after = rf"(?:\.[0-9]{{1,{kind.scale}}})?" if kind.scale else ""
    return _Codec(f"^-?{before}{after}$", cast, odd_values.decimal(kind), length=MAX_DIGITS - kind.scale)


def _within_years(cast: Callable[[pa.Array], pa.Array]) -> Callable[[pa.Array], pa.Array]:
    """An offset may carry an instant out of the years that its text shows: then every text is read alone."""

    def checked(texts: pa.Array) -> pa.Array:
        values = cast(texts)
        bounds = pc.min_max(values.cast(pa.int64())).as_py()
        if bounds["min"] is not None and not FIRST_MICROSECOND <= bounds["min"] <= bounds["max"] <= LAST_MICROSECOND:
            raise pa.ArrowInvalid("instant out of range")
        return values

    return checked


def _cast_time(texts: pa.Array) -> pa.Array:
    """Arrow reads no times from text but timestamps: those of the first day count microseconds since midnight."""
    stamps = pc.cast(pc.binary_join_element_wise("1970-01-01", texts, " "), pa.timestamp("us"))
    return stamps.cast(pa.int64()).cast(pa.time64("us"))
