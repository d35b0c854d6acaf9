"""Values that the fast casts of ``values`` refuse, read one text at a time: either a value or a reason why not.

What cannot be held: special values (infinity, NaN in a numeric), years outside of 1 to 9999, more digits than the
type has. Reasons never quote the value (P10).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from datetime import date as calendar_date
from datetime import time as clock_time
from decimal import Decimal, InvalidOperation

import attrs
import pyarrow as pa

UNREADABLE = "text that cannot be read as the column's type"
INFINITE = "infinite date or time"
OUT_OF_YEARS = "year outside of 1 to 9999"
END_OF_DAY = "time of 24:00:00"
NOT_FINITE = "numeric that is NaN or infinite"
TOO_MANY_DIGITS = "numeric with more digits before the point than the column holds"
TOO_MANY_DECIMALS = "numeric with more digits after the point than the column holds"

_DATE = re.compile(r"([0-9]{4,})-([0-9]{2})-([0-9]{2})( BC)?")
_STAMP = re.compile(
    r"([0-9]{4,})-([0-9]{2})-([0-9]{2}) ([0-9]{2}):([0-9]{2}):([0-9]{2})(?:\.([0-9]{1,6}))?"
    r"(?:([-+])([0-9]{2})(?::([0-9]{2}))?(?::([0-9]{2}))?)?( BC)?"
)
_TIME = re.compile(r"([0-9]{2}):([0-9]{2}):([0-9]{2})(?:\.([0-9]{1,6}))?")
_NUMERAL = re.compile(r"-?[0-9]+(?:\.[0-9]+)?")
_INFINITIES = frozenset({"infinity", "-infinity"})


@attrs.frozen
class Outcome:
    """A value, or the reason why there is none."""

    value: object = None
    reason: str | None = None


def integer(kind: pa.DataType) -> Callable[[str], Outcome]:
    """Reads integers of ``kind``."""
    bound = 1 << (kind.bit_width - 1)

    def read(text: str) -> Outcome:
        if not re.fullmatch(r"-?[0-9]{1,20}", text) or not -bound <= int(text) < bound:
            return Outcome(reason=UNREADABLE)
        return Outcome(int(text))

    return read


def floating(text: str) -> Outcome:
    """Reads floating-point numbers, NaN and infinities included."""
    try:
        return Outcome(float(text))
    except ValueError:
        return Outcome(reason=UNREADABLE)


def decimal(kind: pa.DataType) -> Callable[[str], Outcome]:
    """Reads numerics of ``kind`` without rounding; zeros after the last decimal do not count."""

    def read(text: str) -> Outcome:
        if text in {"NaN", "Infinity", "-Infinity"}:
            return Outcome(reason=NOT_FINITE)
        if not _NUMERAL.fullmatch(text):
            return Outcome(reason=UNREADABLE)
        whole, _, decimals = text.removeprefix("-").partition(".")
        if len(decimals.rstrip("0")) > kind.scale:
            return Outcome(reason=TOO_MANY_DECIMALS)
        if len(whole.lstrip("0")) > kind.precision - kind.scale:
            return Outcome(reason=TOO_MANY_DIGITS)
        try:
            return Outcome(Decimal(f"{text.partition('.')[0]}.{decimals.rstrip('0')}"))
        except InvalidOperation:
            return Outcome(reason=UNREADABLE)

    return read


def date(text: str) -> Outcome:
    """Reads dates of the proleptic Gregorian calendar."""
    if text in _INFINITIES:
        return Outcome(reason=INFINITE)
    match = _DATE.fullmatch(text)
    if match is None:
        return Outcome(reason=UNREADABLE)
    year, month, day, before_christ = match.groups()
    if before_christ or not 1 <= int(year) <= 9999:
        return Outcome(reason=OUT_OF_YEARS)
    try:
        return Outcome(calendar_date(int(year), int(month), int(day)))
    except ValueError:
        return Outcome(reason=UNREADABLE)


def time(text: str) -> Outcome:
    """Reads times of day."""
    if text == "24:00:00":
        return Outcome(reason=END_OF_DAY)
    match = _TIME.fullmatch(text)
    if match is None:
        return Outcome(reason=UNREADABLE)
    hour, minute, second, fraction = match.groups()
    try:
        return Outcome(clock_time(int(hour), int(minute), int(second), _microseconds(fraction)))
    except ValueError:
        return Outcome(reason=UNREADABLE)


def timestamp(*, zoned: bool) -> Callable[[str], Outcome]:
    """Reads timestamps; with ``zoned`` the text must name an offset, and the value is in UTC."""

    def read(text: str) -> Outcome:
        if text in _INFINITIES:
            return Outcome(reason=INFINITE)
        match = _STAMP.fullmatch(text)
        if match is None or zoned != bool(match[8]):
            return Outcome(reason=UNREADABLE)
        if match[12]:
            return Outcome(reason=OUT_OF_YEARS)
        return _moment(match, zoned=zoned)

    return read


def _moment(match: re.Match[str], *, zoned: bool) -> Outcome:
    year, month, day, hour, minute, second = (int(match[group]) for group in range(1, 7))
    if not 1 <= year <= 9999:
        return Outcome(reason=OUT_OF_YEARS)
    try:
        local = datetime(year, month, day, hour, minute, second, _microseconds(match[7]))
    except ValueError:
        return Outcome(reason=UNREADABLE)
    if not zoned:
        return Outcome(local)
    ahead = timedelta(hours=int(match[9]), minutes=int(match[10] or 0), seconds=int(match[11] or 0))
    try:
        instant = local - ahead if match[8] == "+" else local + ahead
    except OverflowError:
        return Outcome(reason=OUT_OF_YEARS)
    return Outcome(instant.replace(tzinfo=UTC))


def _microseconds(fraction: str | None) -> int:
    return int((fraction or "0").ljust(6, "0"))
