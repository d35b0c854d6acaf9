"""Which DuckDB type holds the values of an Arrow type, and which types can be changed in place.

Which source type becomes which Arrow type is the source adapter's table.
"""

from __future__ import annotations

from collections.abc import Callable

import pyarrow as pa

from pipeline.domain.errors import SchemaRefused
from pipeline.domain.schema import Column

#: DuckDB's DECIMAL ends here.
MAX_PRECISION = 38

_SIMPLE: dict[pa.DataType, str] = {
    pa.bool_(): "BOOLEAN",
    pa.int8(): "TINYINT",
    pa.int16(): "SMALLINT",
    pa.int32(): "INTEGER",
    pa.int64(): "BIGINT",
    pa.uint8(): "UTINYINT",
    pa.uint16(): "USMALLINT",
    pa.uint32(): "UINTEGER",
    pa.uint64(): "UBIGINT",
    pa.float32(): "FLOAT",
    pa.float64(): "DOUBLE",
    pa.string(): "VARCHAR",
    pa.large_string(): "VARCHAR",
    pa.string_view(): "VARCHAR",
    pa.binary(): "BLOB",
    pa.large_binary(): "BLOB",
    pa.binary_view(): "BLOB",
    pa.date32(): "DATE",
    pa.date64(): "DATE",
    pa.time32("s"): "TIME",
    pa.time32("ms"): "TIME",
    pa.time64("us"): "TIME",
    pa.time64("ns"): "TIME_NS",
    pa.month_day_nano_interval(): "INTERVAL",
}
_TIMESTAMPS = {"s": "TIMESTAMP_S", "ms": "TIMESTAMP_MS", "us": "TIMESTAMP", "ns": "TIMESTAMP_NS"}
_EXTENSIONS = {"arrow.json": "JSON", "arrow.uuid": "UUID"}

#: Decimal digits that hold any integer of so many bits.
_DIGITS = {8: 3, 16: 5, 32: 10, 64: 20}
#: Bits of an integer that a floating-point type of so many bits holds exactly.
_EXACT_BITS = {32: 24, 64: 53}
_UNIT_ORDER = ("s", "ms", "us", "ns")


def column_type(column: Column) -> str:
    """The DuckDB type of a column; raises ``SchemaRefused`` where there is none."""
    return "JSON" if column.json else sql_type(column.type, where=f"column {column.name}")


def sql_type(kind: pa.DataType, *, where: str = "") -> str:
    """The DuckDB type that holds every value of an Arrow type; raises ``SchemaRefused`` where there is none."""
    simple = _SIMPLE.get(kind)
    if simple is not None:
        return simple
    for is_kind, name_of in _COMPOSED:
        if is_kind(kind):
            name = name_of(kind)
            if name is not None:
                return name
    raise SchemaRefused(
        f"DuckDB has no type for {kind}",
        where=where,
        hint="Leave the column out (exclude), or cast it at the source.",
    )


def widens(before: pa.DataType, after: pa.DataType) -> bool:
    """Whether ``ALTER COLUMN ... TYPE`` keeps every value of the column exactly."""
    if sql_type(before) == sql_type(after):
        return True
    if pa.types.is_integer(before):
        return _integer_widens(before, after)
    if pa.types.is_decimal(before):
        return _decimal_widens(before, after) or _is_text(after)
    if pa.types.is_floating(before):
        return bool(pa.types.is_floating(after) and after.bit_width > before.bit_width)
    if pa.types.is_date(before):
        return bool(pa.types.is_timestamp(after) and after.tz is None and after.unit != "ns") or _is_text(after)
    if pa.types.is_timestamp(before):
        return _timestamp_widens(before, after)
    if pa.types.is_boolean(before):
        return _is_text(after)
    if pa.types.is_time(before):
        return bool(pa.types.is_time(after) and after.unit == "ns")
    if _is_list(before):
        return bool(_is_list(after) and widens(before.value_type, after.value_type))
    return False


def _integer_widens(before: pa.DataType, after: pa.DataType) -> bool:
    if _is_text(after):
        return True
    if pa.types.is_integer(after):
        if pa.types.is_signed_integer(before) and not pa.types.is_signed_integer(after):
            return False
        return bool(after.bit_width > before.bit_width)
    if pa.types.is_decimal(after):
        return bool(after.precision - after.scale >= _DIGITS[before.bit_width])
    if pa.types.is_floating(after):
        return bool(before.bit_width <= _EXACT_BITS.get(after.bit_width, 0))
    return False


def _decimal_widens(before: pa.DataType, after: pa.DataType) -> bool:
    return bool(
        pa.types.is_decimal(after)
        and after.scale >= before.scale
        and after.precision - after.scale >= before.precision - before.scale
    )


def _timestamp_widens(before: pa.DataType, after: pa.DataType) -> bool:
    # nanoseconds reach from 1677 to 2262 only, so nothing widens to them
    return bool(
        pa.types.is_timestamp(after)
        and (before.tz is None) == (after.tz is None)
        and after.unit != "ns"
        and _UNIT_ORDER.index(after.unit) > _UNIT_ORDER.index(before.unit)
    )


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def _is_list(kind: pa.DataType) -> bool:
    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind))


def _is_decimal(kind: pa.DataType) -> bool:
    return bool(pa.types.is_decimal(kind) and kind.precision <= MAX_PRECISION and kind.scale >= 0)


def _timestamp(kind: pa.DataType) -> str:
    if kind.tz is None:
        return _TIMESTAMPS[kind.unit]
    return "TIMESTAMPTZ_NS" if kind.unit == "ns" else "TIMESTAMPTZ"


def _struct(kind: pa.DataType) -> str:
    fields = [f'"{field.name.replace(chr(34), chr(34) * 2)}" {sql_type(field.type)}' for field in kind]
    return f"STRUCT({', '.join(fields)})"


#: Families of types: a test, and the name (None where DuckDB has none after all).
_COMPOSED: tuple[tuple[Callable[[pa.DataType], bool], Callable[[pa.DataType], str | None]], ...] = (
    (lambda kind: isinstance(kind, pa.BaseExtensionType), lambda kind: _EXTENSIONS.get(kind.extension_name)),
    (_is_decimal, lambda kind: f"DECIMAL({kind.precision},{kind.scale})"),
    (pa.types.is_timestamp, _timestamp),
    (pa.types.is_fixed_size_binary, lambda kind: None if pa.types.is_decimal(kind) else "BLOB"),
    (_is_list, lambda kind: f"{sql_type(kind.value_type)}[]"),
    (pa.types.is_struct, _struct),
    (pa.types.is_map, lambda kind: f"MAP({sql_type(kind.key_type)}, {sql_type(kind.item_type)})"),
    (pa.types.is_dictionary, lambda kind: sql_type(kind.value_type)),
)
