"""Which types hold every value of another type, value by value and exactly.

Whether a warehouse can change a column in place is the warehouse's to say; what to do about it is ``evolution``'s.
"""

from __future__ import annotations

import pyarrow as pa

_FAMILIES = {
    pa.string_view(): pa.string(),
    pa.large_string(): pa.string(),
    pa.binary_view(): pa.binary(),
    pa.large_binary(): pa.binary(),
}
#: Decimal digits that hold any integer of so many bits, signed or not.
_DIGITS = {8: 3, 16: 5, 32: 10, 64: 20}
#: Bits of the integers that a float of so many bits holds exactly.
_EXACT_BITS = {16: 11, 32: 24, 64: 53}
_UNITS = ("s", "ms", "us", "ns")
_MAX_PRECISION = 38
#: Up to this scale a decimal's text is plain digits everywhere, never an exponent.
_MAX_TEXT_SCALE = 6

_STEPS = (pa.int16(), pa.int32(), pa.int64(), pa.float64())


def plain_type(kind: pa.DataType) -> pa.DataType:
    """The type that columns of warehouse tables have for ``kind``: no views, no dictionaries, no large offsets."""
    if pa.types.is_dictionary(kind):
        return plain_type(kind.value_type)
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return pa.list_(plain_type(kind.value_type))
    if pa.types.is_struct(kind):
        return pa.struct([pa.field(field.name, plain_type(field.type)) for field in kind])
    return _FAMILIES.get(kind, kind)


def holds(holder: pa.DataType, held: pa.DataType) -> bool:
    """Whether a column of type ``holder`` can take every value of type ``held`` with nothing lost or changed.

    Text holds integers, and decimals of a moderate scale, by their digits: the text is the same everywhere.
    """
    holder, held = plain_type(holder), plain_type(held)
    if holder == held or pa.types.is_null(held):
        return True
    if pa.types.is_integer(held):
        return _holds_integer(holder, held)
    if pa.types.is_decimal(held):
        return _holds_decimal(holder, held)
    if pa.types.is_floating(held):
        return bool(pa.types.is_floating(holder) and holder.bit_width >= held.bit_width)
    if pa.types.is_date32(held):
        return bool(pa.types.is_timestamp(holder) and holder.tz is None and holder.unit != "ns")
    if pa.types.is_timestamp(held):
        return bool(
            pa.types.is_timestamp(holder) and (holder.tz is None) == (held.tz is None) and _is_finer(holder, held)
        )
    if pa.types.is_time(held):
        return bool(pa.types.is_time(holder) and _UNITS.index(holder.unit) >= _UNITS.index(held.unit))
    if pa.types.is_list(held):
        return bool(pa.types.is_list(holder) and holds(holder.value_type, held.value_type))
    return False


def common_type(left: pa.DataType, right: pa.DataType) -> pa.DataType | None:
    """``right`` if it holds the values of both, else the first known type that does; None if there is none."""
    candidates = [right, *_STEPS, *_common_decimal(left, right)]
    return next((plain_type(kind) for kind in candidates if holds(kind, left) and holds(kind, right)), None)


def _holds_integer(holder: pa.DataType, held: pa.DataType) -> bool:
    if pa.types.is_integer(holder):
        is_signed = pa.types.is_signed_integer(held)
        if is_signed == pa.types.is_signed_integer(holder):
            return bool(holder.bit_width >= held.bit_width)
        return bool(not is_signed and holder.bit_width > held.bit_width)
    if pa.types.is_decimal(holder):
        return bool(holder.precision - holder.scale >= _DIGITS[held.bit_width])
    if pa.types.is_floating(holder):
        return bool(held.bit_width <= _EXACT_BITS[holder.bit_width])
    return bool(pa.types.is_string(holder))


def _holds_decimal(holder: pa.DataType, held: pa.DataType) -> bool:
    if pa.types.is_decimal(holder):
        return bool(holder.scale >= held.scale and holder.precision - holder.scale >= held.precision - held.scale)
    if pa.types.is_integer(holder):
        is_signed = pa.types.is_signed_integer(holder)
        return bool(
            is_signed and held.scale == 0 and held.precision < _DIGITS[holder.bit_width] - (holder.bit_width == 64)
        )
    return bool(pa.types.is_string(holder) and 0 <= held.scale <= _MAX_TEXT_SCALE)


def _is_finer(holder: pa.DataType, held: pa.DataType) -> bool:
    if holder.unit == "ns":  # nanoseconds reach from 1677 to 2262 only
        return bool(held.unit == "ns")
    return _UNITS.index(holder.unit) >= _UNITS.index(held.unit)


def _common_decimal(left: pa.DataType, right: pa.DataType) -> list[pa.DataType]:
    shapes = [_digits(kind) for kind in (left, right)]
    before = max((shape[0] for shape in shapes if shape), default=0)
    after = max((shape[1] for shape in shapes if shape), default=0)
    if None in shapes or not 0 < before + after <= _MAX_PRECISION:
        return []
    return [pa.decimal128(before + after, after)]


def _digits(kind: pa.DataType) -> tuple[int, int] | None:
    """Digits before and after the decimal point."""
    if pa.types.is_decimal(kind) and kind.scale >= 0:
        return kind.precision - kind.scale, kind.scale
    if pa.types.is_integer(kind):
        return _DIGITS[kind.bit_width], 0
    return None
