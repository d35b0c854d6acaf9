"""What rows that were there before an added column show in it: the column's default.

Where its type lets the default be written as a constant, the column is added with it: the service keeps it once and
writes no row. It cannot be taken back after that, and need not be: whatever is loaded names every column, so that a
null stays a null. Other types are filled by an UPDATE, which writes the table anew (``tables``).
https://docs.snowflake.com/en/sql-reference/sql/alter-table-column
"""

from __future__ import annotations

import pyarrow as pa

from adapters.warehouses.snowflake.statement import Statement, literal, quote
from adapters.warehouses.snowflake.types import column_type, is_document, sql_type
from pipeline.domain.schema import Column
from pipeline.domain.valuetext import literals, texts


def constant(column: Column) -> str | None:
    """The default as a constant of the column's own type; None where it has none, or where only an expression gives it.

    It is part of what the table is at the source, too, not of any row: so it may stand in a text (P10).
    """
    if column.default is None or column.json:
        return None
    kind = sql_type(column.type)
    if kind == "BOOLEAN" or kind.startswith("NUMBER"):
        return _text(column.default).upper()
    return literal(_text(column.default)) if kind == "VARCHAR" else None


def fill(table: str, column: Column) -> Statement:
    """Give old rows the default. It is bound as its canonical text, which every type reads back exactly."""
    values = pa.repeat(column.default, 1)
    if is_document(column.type, json=column.json):
        text = (values.cast(pa.string()) if column.json else literals(values))[0].as_py()
        place = "PARSE_JSON(?)::ARRAY" if column_type(column) == "ARRAY" else "PARSE_JSON(?)"
    else:
        text = texts(values)[0].as_py()
        kind = sql_type(column.type)
        place = "TO_BINARY(?, 'HEX')" if kind == "BINARY" else f"CAST(? AS {kind})"
    return Statement(f"UPDATE {table} SET {quote(column.name)} = {place}", [text])


def _text(default: pa.Scalar) -> str:
    return str(texts(pa.repeat(default, 1))[0].as_py())
