"""Gaps of the emulator that dbt's statements and the project's models meet, mended in fakesnow by ``install``.

Each lets a statement of the real service do what it does there, or nothing where the emulator has nothing to do. Gaps
that the loader meets are mended elsewhere.
"""

from __future__ import annotations

import re
from typing import Any

import pyarrow as pa

_COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)
_QUERY_TAG = re.compile(r"\s*alter\s+session\s+(set\s+query_tag\s*=|unset\s+query_tag\b)", re.IGNORECASE)


def install() -> None:
    """Mend fakesnow in this process; once, before it serves."""
    import fakesnow.arrow
    from fakesnow import transforms
    from fakesnow.cursor import FakeSnowflakeCursor

    execute = FakeSnowflakeCursor.execute

    def execute_mended(self: Any, command: str, *arguments: Any, **options: Any) -> Any:
        return execute(self, _mended(command), *arguments, **options)

    FakeSnowflakeCursor.execute = execute_mended  # type: ignore[method-assign] # that is what mending is
    # SUM of a NUMBER is a NUMBER; fakesnow makes a FLOAT of it, so that texts could be summed too, which no model does.
    transforms.numeric_agg_implicit_cast = lambda expression: expression
    array_size = transforms.array_size
    transforms.array_size = lambda expression: array_size(_with_list(expression))
    struct = fakesnow.arrow.timestamp_to_sf_struct
    fakesnow.arrow.timestamp_to_sf_struct = lambda column: _with_nulls(struct(column), column)


def _mended(command: str) -> str:
    if _QUERY_TAG.match(_COMMENT.sub("", command)):  # there is no query history that could show the tag
        return "SELECT 'Statement executed successfully.' AS \"status\""
    return command


def _with_list(expression: Any) -> Any:
    """An ARRAY is JSON here, of which DuckDB's list functions know nothing."""
    from sqlglot import exp

    is_list = isinstance(expression.this, exp.Array | exp.ArrayCompact)
    if isinstance(expression, exp.ArrayCompact | exp.ArrayToString) and not is_list:
        expression.set("this", exp.cast(expression.this, exp.DataType.build("VARCHAR[]", dialect="duckdb")))
    return expression


def _with_nulls(struct: pa.Array, timestamps: pa.Array | pa.ChunkedArray) -> pa.Array:
    """Null timestamps arrived as 1970."""
    column = timestamps.combine_chunks() if isinstance(timestamps, pa.ChunkedArray) else timestamps
    mask = column.is_null()
    fields = [struct.type.field(place) for place in range(struct.type.num_fields)]
    return pa.StructArray.from_arrays([struct.field(field.name) for field in fields], fields=fields, mask=mask)
