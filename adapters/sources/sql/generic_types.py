"""What SQLAlchemy's generic types become, for databases that have no table of their own here; see TYPES.md.

Values come as Python objects from the driver: this is several times slower than reading Arrow.
"""

from __future__ import annotations

import datetime as dt
import json
import uuid
from collections.abc import Callable, Sequence
from decimal import Decimal
from enum import Enum
from typing import Any

import pyarrow as pa
from sqlalchemy import types as sa

from adapters.sources.sql.database import Lost
from pipeline.domain.schema import Column

UNBOUNDED = pa.decimal128(38, 9)

_MOST_DIGITS = 38

#: The generic types by the first that a column's type is one of; whatever is not here becomes text.
_TABLE: tuple[tuple[type[sa.TypeEngine[Any]], pa.DataType], ...] = (
    (sa.Enum, pa.string()),  # a kind of String, named so that nobody looks for it
    (sa.Boolean, pa.bool_()),
    (sa.Integer, pa.int64()),
    (sa.Float, pa.float64()),
    (sa.Date, pa.date32()),
    (sa.Time, pa.time64("us")),
    (sa._Binary, pa.binary()),
)

NOT_OF_TYPE = "not of the column's type"


def column_of(name: str, *, source_name: str, kind: sa.TypeEngine[Any], nullable: bool) -> Column:
    """The pipeline's column for one that SQLAlchemy describes."""
    arrow, is_json = _arrow(kind)
    return Column(name, arrow, nullable=nullable, source_name=source_name, source_type=repr(kind), json=is_json)


def values_of(column: Column, values: Sequence[object]) -> tuple[pa.Array, list[Lost]]:
    """Values as the driver gives them, and those that are none of the column's type; nothing is rounded (P7)."""
    kind = column.type
    convert = _converter(column)
    try:
        return pa.array([None if value is None else convert(value) for value in values], kind), []
    except (ValueError, TypeError, ArithmeticError, OverflowError):  # pa.ArrowInvalid is a ValueError
        pass
    taken: list[object] = []
    lost: list[int] = []
    for number, value in enumerate(values):
        try:
            item = None if value is None else convert(value)
            pa.scalar(item, kind)
        except (ValueError, TypeError, ArithmeticError, OverflowError):
            item = None
            lost.append(number)
        taken.append(item)
    texts = pa.array([_text(values[number]) for number in lost], pa.string())
    return pa.array(taken, kind), [(pa.array(lost, pa.int64()), texts, NOT_OF_TYPE)]


def _arrow(kind: sa.TypeEngine[Any]) -> tuple[pa.DataType, bool]:
    if isinstance(kind, sa.JSON | sa.ARRAY):
        return pa.string(), True
    if isinstance(kind, sa.DateTime):
        return pa.timestamp("us", tz="UTC" if kind.timezone else None), False
    if isinstance(kind, sa.Numeric) and not isinstance(kind, sa.Float):
        return _decimal(kind.precision, kind.scale), False
    return next((arrow for generic, arrow in _TABLE if isinstance(kind, generic)), pa.string()), False


def _decimal(precision: int | None, scale: int | None) -> pa.DataType:
    if precision is None or not 0 < precision <= _MOST_DIGITS or not 0 <= (scale or 0) <= precision:
        return UNBOUNDED
    return pa.decimal128(precision, scale or 0)


def _converter(column: Column) -> Callable[[Any], object]:
    kind = column.type
    if column.json:
        return _document
    if pa.types.is_string(kind):
        return _text
    if pa.types.is_decimal(kind):
        return _decimal_value
    if pa.types.is_timestamp(kind):
        return _zoned if kind.tz else _naive
    return next((convert for test, convert in _CONVERTERS if test(kind)), lambda value: value)


def _text(value: object) -> str:
    if isinstance(value, Enum):
        return value.name
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value).decode()
    if isinstance(value, dt.datetime | dt.date | dt.time):
        return value.isoformat()
    if isinstance(value, dict | list | tuple):
        return _document(value)
    return str(value)


def _document(value: object) -> str:
    """JSON text: as it is where the driver gives text that is JSON."""
    if isinstance(value, str):
        json.loads(value)
        return value
    return json.dumps(value, ensure_ascii=False, default=_plain)


def _plain(value: object) -> object:
    if isinstance(value, Decimal | uuid.UUID):
        return str(value)
    if isinstance(value, dt.datetime | dt.date | dt.time):
        return value.isoformat()
    raise TypeError("no JSON")


def _decimal_value(value: object) -> Decimal:
    if isinstance(value, float):
        return Decimal(repr(value))
    return value if isinstance(value, Decimal) else Decimal(str(value))


def _zoned(value: object) -> dt.datetime:
    at = _instant(value)
    return at.replace(tzinfo=dt.UTC) if at.tzinfo is None else at.astimezone(dt.UTC)


def _naive(value: object) -> dt.datetime:
    at = _instant(value)
    return at if at.tzinfo is None else at.astimezone(dt.UTC).replace(tzinfo=None)


def _instant(value: object) -> dt.datetime:
    """Some drivers give times as text."""
    at = dt.datetime.fromisoformat(value) if isinstance(value, str) else value
    if not isinstance(at, dt.datetime):
        raise ValueError("no time")
    return at


def _day(value: object) -> dt.date:
    day = dt.date.fromisoformat(value) if isinstance(value, str) else value
    if isinstance(day, dt.datetime):
        if day.time() != dt.time():
            raise ValueError("more than a date")
        return day.date()
    if not isinstance(day, dt.date):
        raise ValueError("no date")
    return day


def _clock(value: object) -> dt.time:
    clock = dt.time.fromisoformat(value) if isinstance(value, str) else value
    if isinstance(clock, dt.timedelta):  # as MySQL's drivers give times of day
        clock = (dt.datetime.min + clock).time() if dt.timedelta() <= clock < dt.timedelta(days=1) else None
    if not isinstance(clock, dt.time) or clock.tzinfo is not None:
        raise ValueError("no time of day")
    return clock


def _bytes(value: object) -> bytes:
    if not isinstance(value, bytes | bytearray | memoryview):
        raise ValueError("no bytes")
    return bytes(value)


def _flag(value: object) -> bool:
    if isinstance(value, bool):
        return value
    if value in (0, 1, b"\x00", b"\x01"):
        return value in (1, b"\x01")
    raise ValueError("no boolean")


def _integer(value: object) -> object:
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, Decimal | float) and value == int(value):
        return int(value)
    if not isinstance(value, int):  # Arrow would cut a fraction off without a word
        raise ValueError("no integer")
    return value


_CONVERTERS: tuple[tuple[Callable[[pa.DataType], bool], Callable[[Any], object]], ...] = (
    (pa.types.is_boolean, _flag),
    (pa.types.is_integer, _integer),
    (pa.types.is_date, _day),
    (pa.types.is_time, _clock),
    (pa.types.is_binary, _bytes),
)
