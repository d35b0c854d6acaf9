"""The range of the first key column within which states lie, so that a MERGE reads only the parts of a table that can
hold them: the service knows the least and the most value of each part, but does not ask the rows of a file.

Where the condition is put is told by ``modes``.
"""

from __future__ import annotations

from datetime import date, datetime

import attrs
import pyarrow as pa
import pyarrow.compute as pc

from adapters.warehouses.snowflake.statement import quote
from adapters.warehouses.snowflake.types import sql_type
from pipeline.domain.schema import StreamSchema


@attrs.frozen
class KeyRange:
    """The least and the most value of a column, both as they are bound to ``kind``, the column's type."""

    column: str
    kind: str
    least: int | str
    most: int | str

    @property
    def values(self) -> tuple[object, ...]:
        """What ``within`` binds: they are row values, so they never get into a text (P10)."""
        return (self.least, self.most)

    def within(self, alias: str) -> str:
        """The condition that a row of ``alias`` lies in the range."""
        return f"{alias}.{quote(self.column)} BETWEEN CAST(? AS {self.kind}) AND CAST(? AS {self.kind})"


def key_range(schema: StreamSchema, state: pa.Table) -> KeyRange | None:
    """The range of a state's first key column; None where its type has no order that is the same here and there, or a
    value that Python has no number or date for.
    """
    if not schema.key or not state.num_rows:
        return None
    column = schema.column(schema.key[0])
    if not _is_ordered(column.type):
        return None
    found = pc.min_max(state[column.name])
    try:
        least, most = _bound(found["min"]), _bound(found["max"])
    except (ValueError, OverflowError):  # a date beyond the years 1 to 9999
        return None
    return None if least is None or most is None else KeyRange(column.name, sql_type(column.type), least, most)


def _is_ordered(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_date(kind) or pa.types.is_timestamp(kind))


def _bound(scalar: pa.Scalar) -> int | str | None:
    value = scalar.as_py()
    if isinstance(value, datetime):
        return value.isoformat(timespec="microseconds")
    if isinstance(value, date):
        return value.isoformat()
    return None if value is None else int(value)
