"""Values written in a contract, turned into values of a column's type, so that comparing never changes a column.

Which comparisons a rule makes is ``rules``'.
"""

from __future__ import annotations

import datetime as dt
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal, InvalidOperation
from typing import Any

import pyarrow as pa

from pipeline.domain.valuetext import is_binary, is_text


def value_of(given: object, kind: pa.DataType) -> pa.Scalar:
    """The one value of type ``kind`` that equals ``given``; raises ``ValueError`` where there is none."""
    if pa.types.is_integer(kind) or pa.types.is_decimal(kind):
        number = _number(given)
        low, high = (_rounded(number, kind, rounding=rounding) for rounding in (ROUND_FLOOR, ROUND_CEILING))
        if low != high:
            raise ValueError(f"{given!r} has more decimals than {kind}")
        return _scalar(low, kind, given)
    return _scalar(_converted(given, kind), kind, given)


def lower_bound(given: object, kind: pa.DataType) -> pa.Scalar | None:
    """The least value of type ``kind`` that is at least ``given``, None where every value is.

    Raises ``ValueError`` where no value is, or values of this type have no such order.
    """
    return _bound(given, kind, rounding=ROUND_CEILING)


def upper_bound(given: object, kind: pa.DataType) -> pa.Scalar | None:
    """The greatest value of type ``kind`` that is at most ``given``; see ``lower_bound``."""
    return _bound(given, kind, rounding=ROUND_FLOOR)


def _bound(given: object, kind: pa.DataType, *, rounding: str) -> pa.Scalar | None:
    if given is None:
        return None
    if not (pa.types.is_integer(kind) or pa.types.is_decimal(kind)):
        if pa.types.is_boolean(kind) or is_binary(kind):
            raise ValueError(f"values of type {kind} have no range")
        return _scalar(_converted(given, kind), kind, given)
    number = _number(given)
    try:
        return _scalar(_rounded(number, kind, rounding=rounding), kind, given)
    except ValueError:
        reaches_all = number < 0 if rounding == ROUND_CEILING else number > 0
        if reaches_all:
            return None
        raise


def _number(given: object) -> Decimal:
    if isinstance(given, bool) or not isinstance(given, int | float | str | Decimal):
        raise ValueError(f"{given!r} is not a number")
    try:
        number = Decimal(str(given))
    except InvalidOperation:
        raise ValueError(f"{given!r} is not a number") from None
    if not number.is_finite():
        raise ValueError(f"{given!r} is not a finite number")
    return number


def _rounded(number: Decimal, kind: pa.DataType, *, rounding: str) -> Decimal:
    scale = kind.scale if pa.types.is_decimal(kind) else 0
    # the default context would refuse more than 28 digits
    return (number.scaleb(scale)).to_integral_value(rounding=rounding).scaleb(-scale)


def _converted(given: object, kind: pa.DataType) -> Any:
    if is_text(kind):
        if not isinstance(given, str):
            raise ValueError(f"{given!r} is not text (put it in quotes)")
        return given
    if is_binary(kind):
        return given if isinstance(given, bytes) else bytes.fromhex(str(given))
    if pa.types.is_boolean(kind):
        if not isinstance(given, bool):
            raise ValueError(f"{given!r} is not true or false")
        return given
    if pa.types.is_floating(kind):
        return float(_number(given))
    if pa.types.is_timestamp(kind):
        return _instant(given, zoned=kind.tz is not None)
    if pa.types.is_date(kind):
        return given if isinstance(given, dt.date) else dt.date.fromisoformat(str(given))
    if pa.types.is_time(kind):
        return given if isinstance(given, dt.time) else dt.time.fromisoformat(str(given))
    raise ValueError(f"values of type {kind} cannot be compared")


def _instant(given: object, *, zoned: bool) -> dt.datetime:
    """Without an offset an instant is UTC."""
    if isinstance(given, dt.date) and not isinstance(given, dt.datetime):
        given = dt.datetime.combine(given, dt.time())
    instant = given if isinstance(given, dt.datetime) else dt.datetime.fromisoformat(str(given))
    utc = instant.replace(tzinfo=dt.UTC) if instant.tzinfo is None else instant.astimezone(dt.UTC)
    return utc if zoned else utc.replace(tzinfo=None)


def _scalar(value: Any, kind: pa.DataType, given: object) -> pa.Scalar:
    try:
        return pa.scalar(int(value) if pa.types.is_integer(kind) else value, kind)
    except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError, ArithmeticError):
        raise ValueError(f"{given!r} does not fit {kind}") from None
