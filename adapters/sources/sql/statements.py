"""The text of what is asked of databases whose SQL is written here: PostgreSQL's and SQLite's.

Values are bound, or written as literals, by the dialect (``bind``); names come quoted.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pyarrow as pa

from adapters.sources.sql.database import Select, Selected

#: Gives the SQL that stands for a value that a column is compared with. Called once for each place, from left to right.
Bind = Callable[[Selected, pa.Scalar], str]


def conditions(select: Select, bind: Bind) -> list[str]:
    """What rows have to keep to be wanted."""
    found = []
    if select.since:
        text = _not_before(select.since, bind)
        missing = [
            f"{selected.ordered} IS NULL"
            for selected, _ in select.since
            if select.with_nulls and _may_be_null(selected)
        ]
        found.append(f"({' OR '.join([text, *missing])})")
    if select.until is not None:
        selected, value = select.until
        text = f"{selected.ordered} <= {bind(selected, value)}"
        found.append(f"({text} OR {selected.ordered} IS NULL)" if _may_be_null(selected) else text)
    return found


def select_text(source: str, expressions: Sequence[str], *, where: Sequence[str], order: Sequence[str] = ()) -> str:
    """``SELECT`` with columns ``c0``, ``c1``, ... of what is read."""
    columns = ", ".join(f"{expression} AS c{number}" for number, expression in enumerate(expressions))
    text = f"SELECT {columns} FROM {source}"
    if where:
        text += f" WHERE {' AND '.join(where)}"
    return f"{text} ORDER BY {', '.join(order)}" if order else text


def _not_before(since: Sequence[tuple[Selected, pa.Scalar]], bind: Bind) -> str:
    """``a >= 1``; ``(a >= 1 AND (a > 1 OR b >= 2))``: an index over a, or over a and b, serves both."""
    (selected, value), *rest = since
    first = f"{selected.ordered} >= {bind(selected, value)}"
    if not rest:
        return first
    after = f"{selected.ordered} > {bind(selected, value)}"
    return f"({first} AND ({after} OR {_not_before(rest, bind)}))"


def _may_be_null(selected: Selected) -> bool:
    return selected.column.nullable
