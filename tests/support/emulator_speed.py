"""Spares the emulator work that changes nothing: fakesnow parses a statement three times, goes over it eighty times to
make DuckDB's words of it, and plans it twice, also where the same one came before.
"""

from __future__ import annotations

import collections
import functools
from collections.abc import Callable
from typing import Any

import attrs
import fakesnow.cursor
import fakesnow.server
from sqlglot import exp

Cursor = fakesnow.cursor.FakeSnowflakeCursor
Transform = Callable[[Any, exp.Expression, Any], exp.Expression]

#: How many statements, and how many results, are kept.
_STATEMENTS, _RESULTS = 2_000, 100

#: Where a parsed statement keeps its text.
_TEXT = "text"


def install() -> None:
    """Put the quicker functions in place of fakesnow's."""
    _parse_once()
    _describe_without_planning()
    fakesnow.server.shared_fs.results_cache = _Latest(_RESULTS)  # of which fakesnow would keep all
    fakesnow.server.shared_fs.duck_conn.execute("SET threads = 1")  # tables are small, and tests run beside each other


def _parse_once() -> None:
    plain, explode = fakesnow.cursor.parse_one, Cursor._transform_explode

    @functools.lru_cache(_STATEMENTS)
    def parse(text: str) -> exp.Expression:
        parsed: exp.Expression = plain(text)
        parsed.meta[_TEXT] = text
        return parsed

    def several(cursor: Any, expression: exp.Expression) -> list[exp.Expression]:
        """Statements that were made of one have its text no more."""
        made: list[exp.Expression] = explode(cursor, expression)
        for each in made if len(made) > 1 else ():
            each.meta.pop(_TEXT, None)
        return made

    fakesnow.server.parse_one = parse  # which only looks what kind of statement it is
    fakesnow.cursor.parse_one = lambda text: parse(text).copy()
    Cursor._transform_explode = several


def _describe_without_planning() -> None:
    execute, describe = Cursor._execute, Cursor._describe_last_sql

    def executed(cursor: Any, transformed: exp.Expression, params: Any = None) -> None:
        execute(cursor, transformed, params)
        if transformed.args.get("result_scan_sfqid"):
            cursor.described = None  # the result was kept, and what DuckDB has told is of another one
        else:
            note_description(cursor)

    Cursor._execute = executed
    Cursor._describe_last_sql = lambda cursor: describe(cursor) if cursor.described is None else cursor.described


def note_description(cursor: Any) -> None:
    """Keep the columns of the result that a cursor has just got, as DuckDB told them with it."""
    columns = cursor._duck_conn.description
    cursor.described = columns and [(name, str(kind), None, None, None, None) for name, kind, *_ in columns]


class _Latest(collections.OrderedDict[Any, Any]):
    """What was put in last, so many of them."""

    def __init__(self, limit: int) -> None:
        super().__init__()
        self._limit = limit

    def __setitem__(self, key: Any, value: Any) -> None:
        super().__setitem__(key, value)
        while len(self) > self._limit:
            self.popitem(last=False)


@attrs.frozen
class _Kept:
    """DuckDB's words for a statement, and the database whose name is among them."""

    made: exp.Expression
    database: str | None


def keeping(transform: Transform) -> Transform:
    """Make a statement's transformation once, for all databases where it names none."""
    kept = _Latest(_STATEMENTS)  # by text and schema

    def transformed(cursor: Any, expression: exp.Expression, params: Any) -> exp.Expression:
        database, schema = cursor._conn.database, cursor._conn.schema
        text = expression.meta.get(_TEXT)
        if text is None or not _is_same_for_all(cursor, expression, text):
            return transform(cursor, expression, params)
        known = kept.get((text, schema))
        if known is not None and known.database in {None, database}:
            return known.made.copy()
        made = transform(cursor, expression, params)
        names_it = database is not None and database in repr(made)
        kept[text, schema] = _Kept(made.copy(), database if names_it else None)
        return made

    return transformed


def _is_same_for_all(cursor: Any, expression: exp.Expression, text: str) -> bool:
    """Whether a transformation depends on neither values, variables, files nor what is in the database, and does
    nothing itself.
    """
    if cursor._conn.variables._variables or expression.find(exp.DynamicIdentifier) is not None:
        return False
    if isinstance(expression, exp.Create):
        return expression.kind in {"TABLE", "SCHEMA", "VIEW"} and expression.args.get("expression") is None
    return isinstance(expression, _LASTING) and "RESULT_SCAN" not in text.upper()


_LASTING = (
    exp.Select,
    exp.SetOperation,
    exp.Insert,
    exp.Update,
    exp.Delete,
    exp.Merge,
    exp.Alter,
    exp.Drop,
    exp.Comment,
)
