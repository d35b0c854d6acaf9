"""Tells which types hold every value of another, so that a column can be widened in place."""

from __future__ import annotations

import pyarrow as pa


def is_wider(before: pa.DataType, after: pa.DataType) -> bool:
    """Whether every value of ``before`` is, unchanged, one of ``after``: wider integers, floats and decimals."""
    if before == after:
        return True
    if pa.types.is_integer(before):
        return _integer_widens(before, after)
    if pa.types.is_floating(before):
        return bool(pa.types.is_floating(after) and after.bit_width > before.bit_width)
    if pa.types.is_decimal(before):
        return bool(
            pa.types.is_decimal(after)
            and after.scale >= before.scale
            and after.precision - after.scale >= before.precision - before.scale
        )
    return False


def _integer_widens(before: pa.DataType, after: pa.DataType) -> bool:
    if pa.types.is_integer(after):
        if pa.types.is_signed_integer(before) and not pa.types.is_signed_integer(after):
            return False
        return bool(after.bit_width > before.bit_width)
    return bool(pa.types.is_decimal(after) and after.precision - after.scale >= _DIGITS[before.bit_width])


#: Decimal digits that hold any integer of so many bits.
_DIGITS = {8: 3, 16: 5, 32: 10, 64: 20}
