"""Records of JSON as Arrow columns: whole columns at once, and value by value only where one does not fit.

A value that its column's type cannot hold exactly is a misfit (P7), never a null or another value.
"""

from __future__ import annotations

import datetime as dt
import math
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from decimal import Decimal, localcontext
from operator import itemgetter

import pyarrow as pa
import pyarrow.compute as pc

from adapters.sources.rest.columns import INSTANT
from adapters.sources.rest.documents import Record, json_text
from adapters.sources.typewords import JSON
from pipeline.domain.change import Misfit
from pipeline.domain.schema import Column, StreamSchema

_NONE = type(None)
#: Zeros behind the microseconds, which say nothing.
_TOO_FINE = re.compile(r"(\.\d{6})0+(?=\D|$)")
_UNIX_UNITS = {"unix": "s", "unix_ms": "ms"}


def table_of(records: Sequence[Record], schema: StreamSchema) -> tuple[pa.Table, tuple[Misfit, ...]]:
    """The data columns of ``schema`` from records, by their source names; a member that is missing is null."""
    arrays, misfits = [], []
    for column, values in zip(schema.columns, _transposed(records, schema), strict=True):
        array, misfit = column_of(values, column)
        arrays.append(array)
        misfits += [misfit] if misfit else []
    return pa.Table.from_arrays(arrays, schema=schema.arrow()), tuple(misfits)


def _transposed(records: Sequence[Record], schema: StreamSchema) -> Iterator[Sequence[object]]:
    """The values of each column; fast for members that all records have, as they mostly do."""
    names = [column.source_name for column in schema.columns]
    shared = [name for name in names if records and name in records[0]]
    found: dict[str, Sequence[object]] = {}
    if len(shared) > 1:
        with suppress(KeyError):  # of a record that lacks one
            found = dict(zip(shared, zip(*map(itemgetter(*shared), records), strict=True), strict=True))
    for name in names:
        yield found[name] if name in found else [record.get(name) for record in records]


def column_of(values: Sequence[object], column: Column) -> tuple[pa.Array, Misfit | None]:
    """The values as an array of the column's type, and those that do not fit."""
    fast = _FAST.get(_family(column))
    kinds = set(map(type, values))
    if kinds <= {_NONE}:
        return pa.nulls(len(values), column.type), None
    if fast is not None:
        allowed, build = fast
        if kinds <= allowed:
            try:
                return build(values, column), None
            except (ValueError, TypeError, OverflowError):  # pa.ArrowInvalid is a ValueError
                pass  # some value does not fit: find out which
    return _one_by_one(values, column)


def _one_by_one(values: Sequence[object], column: Column) -> tuple[pa.Array, Misfit | None]:
    read = _READERS[_family(column)]
    fitting: list[object] = []
    rows: list[int] = []
    texts: list[str] = []
    for number, value in enumerate(values):
        try:
            item = None if value is None else read(value, column)
            pa.scalar(item, column.type)
        except (ValueError, TypeError, ArithmeticError):  # pa.ArrowInvalid is a ValueError
            item = None
            rows.append(number)
            texts.append(_spelt(value))
        fitting.append(item)
    array = pa.array(fitting, column.type)
    if not rows:
        return array, None
    reason = f"cannot be read as {column.source_type or column.type}"
    return array, Misfit(column.name, pa.array(rows, pa.int64()), pa.array(texts, pa.string()), reason)


def _family(column: Column) -> str:
    """Which of the readers a column takes."""
    kind = column.type
    if column.json:
        return JSON
    if kind == INSTANT and column.source_type in _UNIX_UNITS:
        return "unix"
    for name, test in _FAMILIES.items():
        if test(kind):
            return name
    raise AssertionError(f"no reader for {kind}")


_FAMILIES: dict[str, Callable[[pa.DataType], bool]] = {
    "bool": pa.types.is_boolean,
    "int": pa.types.is_integer,
    "float": pa.types.is_floating,
    "decimal": pa.types.is_decimal,
    "text": pa.types.is_string,
    "date": pa.types.is_date,
    "time": pa.types.is_time,
    "timestamp": pa.types.is_timestamp,
}


def _plain(values: Sequence[object], column: Column) -> pa.Array:
    return pa.array(values, column.type)


def _floats(values: Sequence[object], column: Column) -> pa.Array:
    """Floats as near as they come to what was written; whole numbers exactly, which Arrow sees to."""
    kinds = set(map(type, values))
    if Decimal not in kinds:
        return pa.array(values, column.type)
    if kinds == {Decimal}:
        array = pa.array(list(map(str, values)), pa.string()).cast(column.type)
    else:
        array = pa.array([float(value) if isinstance(value, Decimal) else value for value in values], column.type)
    if pc.any(pc.is_inf(array)).as_py():
        raise ValueError("a number is too large")
    return array


def _parsed(values: Sequence[object], column: Column) -> pa.Array:
    return pa.array(values, pa.string()).cast(column.type)


def _spelt_numbers(values: Sequence[object], column: Column) -> pa.Array:
    """Decimals by their digits: of a float those that it was written with, see ``documents.parsed``."""
    if set(map(type, values)) <= {Decimal, _NONE}:
        return pa.array(values, column.type)
    texts = [None if value is None else str(value) for value in values]
    return pa.array(texts, pa.string()).cast(column.type)


def _documents(values: Sequence[object], _column: Column) -> pa.Array:
    return pa.array([None if value is None else json_text(value) for value in values], pa.string())


#: Types of values that Arrow takes for a family as they are, and how.
_FAST: dict[str, tuple[set[type], Callable[[Sequence[object], Column], pa.Array]]] = {
    "bool": ({bool, _NONE}, _plain),
    "int": ({int, _NONE}, _plain),
    "float": ({int, float, Decimal, _NONE}, _floats),
    "decimal": ({int, float, Decimal, str, _NONE}, _spelt_numbers),
    "text": ({str, _NONE}, _plain),
    "date": ({str, _NONE}, _parsed),
    "timestamp": ({str, _NONE}, _parsed),
    JSON: ({dict, list, str, int, float, Decimal, bool, _NONE}, _documents),
}


def _boolean(value: object, _column: Column) -> bool:
    if isinstance(value, bool):
        return value
    raise ValueError("not true or false")


def _integer(value: object, _column: Column) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, float | Decimal) and value == int(value):
        return int(value)
    if isinstance(value, str) and value.removeprefix("-").isdecimal() and value.isascii():
        return int(value)
    raise ValueError("not a whole number")


def _float(value: object, column: Column) -> float:
    if isinstance(value, bool):
        raise ValueError("not a number")
    if isinstance(value, int):
        # Whole numbers are counts: one that a float would change is a misfit. Fractions are as near as a float is.
        if column.type != pa.float64() or int(float(value)) != value:
            raise ValueError("not exact")
        return float(value)
    if isinstance(value, float):
        return value
    if isinstance(value, Decimal) or (isinstance(value, str) and "_" not in value):
        number = float(value)
        if math.isfinite(number):
            return number
    raise ValueError("not a number, or too large a one")


def _decimal(value: object, column: Column) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal | str):
        raise ValueError("not a number")
    if isinstance(value, str) and "_" in value:
        raise ValueError("not a number")
    number = Decimal(repr(value) if isinstance(value, float) else value)
    if not number.is_finite():
        raise ValueError("not a number")
    with localcontext(prec=80) as context:
        exact = number.quantize(Decimal(1).scaleb(-column.type.scale), context=context)
    if exact != number:
        raise ValueError("has more decimals")
    return exact


def _text(value: object, _column: Column) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, dict | list):
        raise ValueError("not a single value")
    return json_text(value)


def _date(value: object, column: Column) -> object:
    if not isinstance(value, str):
        raise ValueError("not a date")
    return pa.array([value]).cast(column.type)[0].as_py()


def _time(value: object, _column: Column) -> dt.time:
    if not isinstance(value, str):
        raise ValueError("not a time")
    moment = dt.time.fromisoformat(value)
    if moment.tzinfo is not None or len(value.partition(".")[2]) > 6:
        raise ValueError("not a time of day to the microsecond")
    return moment


def _timestamp(value: object, column: Column) -> int:
    if not isinstance(value, str):
        raise ValueError("not an instant")
    text = _TOO_FINE.sub(r"\1", value)
    return int(pa.array([text]).cast(column.type)[0].value)


def _unix(value: object, column: Column) -> int:
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        raise ValueError("not a number of seconds")
    scale = 1_000_000 if _UNIX_UNITS[column.source_type] == "s" else 1_000
    number = Decimal(repr(value) if isinstance(value, float) else value) * scale
    if number != int(number):
        raise ValueError("finer than a microsecond")
    return int(number)


def _document(value: object, _column: Column) -> str:
    return json_text(value)


_READERS: dict[str, Callable[[object, Column], object]] = {
    "bool": _boolean,
    "int": _integer,
    "float": _float,
    "decimal": _decimal,
    "text": _text,
    "date": _date,
    "time": _time,
    "timestamp": _timestamp,
    "unix": _unix,
    JSON: _document,
}


def _spelt(value: object) -> str:
    try:
        text = value if isinstance(value, str) else json_text(value)
    except ValueError:
        text = str(value)
    return text.encode("utf-8", "backslashreplace").decode("utf-8")  # halves of surrogate pairs are no text
