"""Spares the emulator work that changes nothing: fakesnow parses each statement three times, where a third of its time
goes.
"""

from __future__ import annotations

from typing import Any

import fakesnow.cursor
import fakesnow.server
from sqlglot import exp

Cursor = fakesnow.cursor.FakeSnowflakeCursor


def install() -> None:
    """Put the quicker functions in place of fakesnow's."""
    parse = fakesnow.cursor.parse_one
    looked_at: dict[str, exp.Expression] = {}

    def look(text: str) -> exp.Expression:
        """For the server, which only looks which kind of statement it is, before the cursor gets it."""
        looked_at.clear()
        return looked_at.setdefault(text, parse(text))

    fakesnow.server.parse_one = look
    fakesnow.cursor.parse_one = lambda text: looked_at.pop(text, None) or parse(text)
    Cursor._describe_last_sql = _describe_last_sql


def _describe_last_sql(cursor: Any) -> list[tuple[Any, ...]]:
    """The columns of the last result, asked of DuckDB in its own words, which need no parsing; the result itself was
    taken before.
    """
    described: list[tuple[Any, ...]] = cursor._duck_conn.execute(
        f"DESCRIBE {cursor._last_sql}", cursor._last_params
    ).fetchall()
    return described
