"""The SQL that is sent to SQLite.

Running it is ``sqlite``'s; what is selected of each column is ``sqlite_types``' table.
"""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa
from sqlalchemy.dialects.sqlite.base import SQLiteDialect

from adapters.sources.sql.database import Select, Selected
from adapters.sources.sql.sqlite_types import SqliteColumn
from adapters.sources.sql.statements import Bind, conditions
from pipeline.domain.valuetext import texts

#: The column of values that are not of their column's type.
ODDITIES = "oddities"

_PREPARER = SQLiteDialect().identifier_preparer


def quoted(name: str) -> str:
    """An identifier as SQL, whatever characters it has."""
    return str(_PREPARER.quote_identifier(name))


def statement(select: Select, source: str, *, is_plain: bool = False) -> tuple[str, list[object]]:
    """The text and its values. The first row is no row of the table: ADBC takes the columns' types from the first rows,
    where a column may hold nothing but nulls. The column ``ODDITIES`` tells of values that are not of their column's
    type, where any column may have some; ``is_plain``: none that has a plain expression.
    """
    values: list[object] = []
    columns = [column for column in select.columns if isinstance(column, SqliteColumn)]
    order = [column for column in select.order if isinstance(column, SqliteColumn)]
    taken = [
        (column.seed, column.plain if is_plain and column.plain else column.expression, f"c{number}")
        for number, column in enumerate(columns)
    ]
    oddities = _oddities(columns, is_plain=is_plain)
    if oddities:
        taken.append(("''", oddities, ODDITIES))
    ranks = [len(taken) + 1 + number for number in range(len(order) + 1)] if order else []
    if order:
        taken += [("0", "1", "rank"), *((column.order_seed, column.ordered, "") for column in order)]
    first = ", ".join(f"{seed} AS {name}" if name else seed for seed, _, name in taken)
    text = f"SELECT {first} UNION ALL SELECT {', '.join(taken_as for _, taken_as, _ in taken)} FROM {source}"
    where = conditions(select, binder(values))
    if where:
        text += f" WHERE {' AND '.join(where)}"
    if order:
        text += f" ORDER BY {', '.join(map(str, ranks))}"
    return (f"{text} LIMIT {select.limit + 1}" if select.limit is not None else text), values


def binder(values: list[object]) -> Bind:
    """Binds values by adding them to ``values``."""

    def bind(_: Selected, value: pa.Scalar) -> str:
        values.append(_bound(value))
        return "CAST(? AS NUMERIC)" if pa.types.is_decimal(value.type) else "?"

    return bind


def _oddities(columns: Sequence[SqliteColumn], *, is_plain: bool) -> str:
    """A JSON array of the odd values as text, one place a column, null in rows that have none; "" where none may."""
    asked = [column for column in columns if column.odd and not (is_plain and column.plain)]
    if not asked:
        return ""
    shown = ", ".join(_shown(column) if column in asked else "NULL" for column in columns)
    return f"CASE WHEN {' OR '.join(column.odd for column in asked)} THEN json_array({shown}) END"


def _shown(column: SqliteColumn) -> str:
    name = quoted(column.column.source_name)
    text = f"CASE typeof({name}) WHEN 'blob' THEN hex({name}) ELSE CAST({name} AS TEXT) END"
    return f"CASE WHEN {column.odd} THEN {text} END"


def _bound(value: pa.Scalar) -> object:
    """A value in the form that SQLite's functions give: instants to the millisecond, rounded down."""
    kind = value.type
    if pa.types.is_timestamp(kind):
        at = value.cast(pa.timestamp("us")).as_py() if kind.tz is None else value.as_py()
        return f"{at:%Y-%m-%d %H:%M:%S}.{at.microsecond // 1000:03}"
    if pa.types.is_decimal(kind) or pa.types.is_date(kind):
        return str(texts(pa.array([value.as_py()], kind))[0].as_py())
    bound: object = value.as_py()
    return bound
