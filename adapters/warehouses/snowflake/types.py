"""Which Snowflake type holds the values of an Arrow type, and which types a column can change to. See TYPES.md.

How values travel in files is ``files``'.
"""

from __future__ import annotations

import re

import pyarrow as pa

from pipeline.domain.errors import SchemaRefused
from pipeline.domain.fitting import holds
from pipeline.domain.schema import Column

#: NUMBER ends here.
MAX_PRECISION = 38

INSTANT = "TIMESTAMP_TZ(6)"
#: An instant that is bound, as ``sql.instant`` writes it.
BOUND_INSTANT = f"CAST(? AS {INSTANT})"
DOCUMENT = "VARIANT"
LIST = "ARRAY"

_NUMBER_TYPE = re.compile(r"NUMBER\((\d+),(\d+)\)")
_NUMBER = f"NUMBER({MAX_PRECISION},0)"

_SIMPLE: dict[pa.DataType, str] = {
    pa.bool_(): "BOOLEAN",
    pa.int8(): _NUMBER,
    pa.int16(): _NUMBER,
    pa.int32(): _NUMBER,
    pa.int64(): _NUMBER,
    pa.uint8(): _NUMBER,
    pa.uint16(): _NUMBER,
    pa.uint32(): _NUMBER,
    pa.uint64(): _NUMBER,
    pa.float32(): "FLOAT",
    pa.float64(): "FLOAT",
    pa.string(): "VARCHAR",
    pa.large_string(): "VARCHAR",
    pa.string_view(): "VARCHAR",
    pa.binary(): "BINARY",
    pa.large_binary(): "BINARY",
    pa.binary_view(): "BINARY",
    pa.date32(): "DATE",
    pa.date64(): "DATE",
    pa.time32("s"): "TIME(6)",
    pa.time32("ms"): "TIME(6)",
    pa.time64("us"): "TIME(6)",
}


def column_type(column: Column) -> str:
    """The type of a column; raises ``SchemaRefused`` where there is none."""
    return DOCUMENT if column.json else sql_type(column.type, where=f"column {column.name}")


def sql_type(kind: pa.DataType, *, where: str = "") -> str:
    """The Snowflake type that holds every value of an Arrow type; raises ``SchemaRefused`` where there is none."""
    name = _SIMPLE.get(kind) or _composed(kind, where)
    if name is None:
        raise SchemaRefused(
            f"Snowflake has no type for {kind}",
            where=where,
            hint="Leave the column out (exclude), or cast it at the source.",
        )
    return name


def is_document(kind: pa.DataType, *, json: bool = False) -> bool:
    """Whether values are kept as a JSON document: JSON itself, lists and structs."""
    return json or is_list(kind) or pa.types.is_struct(kind)


def is_list(kind: pa.DataType) -> bool:
    """Whether a type is a list of any length."""
    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind))


def widens(before: pa.DataType, after: pa.DataType) -> bool:
    """Whether every value of the column can be kept exactly in a column of the new type."""
    if is_list(before) and is_list(after):
        return holds(after, before) and _is_same_text(before.value_type, after.value_type)
    return bool(sql_type(before) and sql_type(after) and holds(after, before))


def alters_in_place(before: str, after: str) -> bool:
    """Whether the service changes a column from one of its types to another where it stands: it only ever raises the
    precision of a number. Any other change writes the table anew.
    """
    numbers = [_NUMBER_TYPE.fullmatch(kind) for kind in (before, after)]
    if not all(numbers):
        return False
    (precision, scale), (wider, same) = (map(int, number.groups()) for number in numbers if number)
    return scale == same and precision <= wider


def _composed(kind: pa.DataType, where: str) -> str | None:
    if pa.types.is_decimal128(kind) and kind.scale >= 0:
        return f"NUMBER({kind.precision},{kind.scale})"
    if pa.types.is_timestamp(kind) and kind.unit != "ns":
        return INSTANT if kind.tz else "TIMESTAMP_NTZ(6)"
    if pa.types.is_dictionary(kind):
        return sql_type(kind.value_type, where=where)
    if is_list(kind):
        sql_type(kind.value_type, where=where)
        return LIST
    if pa.types.is_struct(kind):
        for field in kind:
            sql_type(field.type, where=where)
        return DOCUMENT
    return None


def _is_same_text(before: pa.DataType, after: pa.DataType) -> bool:
    """Whether values of both are the same text within a document."""
    return bool(before == after or (pa.types.is_integer(before) and pa.types.is_integer(after)))
