"""Mends gaps of fakesnow's SQL that statements of ours meet, by running them as DuckDB can.

Each function says what the real service does and the emulator does not. Nothing here makes a statement succeed that the
real service would refuse.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from string import Template
from typing import Any

import duckdb
import fakesnow.copy_into
import fakesnow.cursor
import fakesnow.info_schema
import fakesnow.server
import fakesnow.transforms
import fakesnow.transforms.show
from fakesnow.transforms import stage
from snowflake.connector.errors import Error, ProgrammingError
from sqlglot import exp

from tests.support import emulator_transactions as transactions
from tests.support.emulator_speed import keeping
from tests.support.emulator_transactions import answer

Cursor = fakesnow.cursor.FakeSnowflakeCursor

TAKEN, AMBIGUOUS, FAILED = 2002, 100090, 100038


def install() -> None:
    """Put the mended functions in place."""
    fakesnow.cursor.transforms.merge = lambda expression: [expression]
    # NUMBER(38,0) has 38 digits, not 64 bits
    narrow = fakesnow.transforms.integer_precision
    fakesnow.cursor.transforms.integer_precision = lambda expression: (
        expression if _is_exact_number(expression) else narrow(expression)
    )
    fakesnow.cursor.info_schema.insert_table_comment_sql = _comment_sql
    for name in [name for name in vars(fakesnow.cursor) if name.startswith(("SQL_CREATED_", "SQL_DROPPED"))]:
        setattr(fakesnow.cursor, name, _Told(getattr(fakesnow.cursor, name).template))
    lengths = fakesnow.info_schema.insert_text_lengths_sql
    fakesnow.cursor.info_schema.insert_text_lengths_sql = lambda catalog, schema, table, columns: lengths(
        catalog, schema, table.replace("'", "''"), [(name.replace("'", "''"), size) for name, size in columns]
    )
    original = Cursor._transform
    kept = keeping(lambda self, expression, params: original(self, _prepared(self, expression), params))

    def transform(self: Any, expression: exp.Expression, params: Any) -> exp.Expression:
        done = kept(self, expression, params)
        if isinstance(done, exp.Merge):
            _refuse_ambiguous(self, done, params)
        return done

    Cursor._transform = transform
    check = Cursor.check_db_and_schema
    # a stage is no table without a schema
    Cursor.check_db_and_schema = lambda self, expression: None if _stages(expression) else check(self, expression)
    plain = Cursor.execute

    def execute(self: Any, command: str, params: Any = None, *args: Any, **kwargs: Any) -> Any:
        # the name of a transaction is known here, and not to fakesnow
        command, name = transactions.without_name(command)
        return _execute(self, command, lambda: plain(self, command, params, *args, **kwargs), name=name)

    Cursor.execute = execute
    parse = fakesnow.server.parse_one
    fakesnow.server.parse_one = lambda text: parse(transactions.without_name(text)[0])

    # FILES of COPY names files of an internal stage, too
    fakesnow.copy_into._source_urls = lambda source, files: [f"{source}{file}" for file in files]
    views = fakesnow.transforms.show.SQL_CREATE_VIEW_SHOW_TABLES
    told = views.replace("create view if not exists", "create or replace view").replace("'' as comment", _COMMENT)
    fakesnow.server.shared_fs.duck_conn.execute(told)


def _is_exact_number(expression: exp.Expression) -> bool:
    is_number = isinstance(expression, exp.DataType) and expression.this == exp.DataType.Type.DECIMAL
    return is_number and bool(expression.expressions)


class _Told(Template):
    """What is answered about an object, whose name may hold quotes."""

    def substitute(self, **names: str) -> str:  # type: ignore[override] # as it is called
        return super().substitute({key: str(value).replace("'", "''") for key, value in names.items()})


def _execute(cursor: Any, command: str, plain: Callable[[], Any], *, name: str = "") -> Any:
    text = command.strip()
    for pattern, special in _SPECIALS.items():
        if match := pattern.match(text):
            return special(cursor, match)
    if _DDL.match(text):
        transactions.commit_open(cursor)
    try:
        result = transactions.waiting_for_locks(cursor, plain)
    except ProgrammingError as error:
        if error.errno == 2003 and "already exists" in str(error.msg):
            raise ProgrammingError(msg=error.msg, errno=TAKEN, sqlstate="42710") from None
        raise
    except Exception as error:  # whatever the emulator cannot do must not look like a server to be tried again
        if isinstance(error, Error):
            raise
        if isinstance(error, duckdb.ConstraintException) and _DDL.match(text):
            # another session made the same at this moment, and the emulator's own list of columns has them already
            raise ProgrammingError(msg="it already exists", errno=TAKEN, sqlstate="42710") from error
        if os.environ.get("EMULATOR_TRACE"):
            print(f"{command}\n{type(error).__name__}: {error}", file=sys.stderr)  # noqa: T201 - asked for
        raise ProgrammingError(msg=f"{type(error).__name__}: {error}", errno=FAILED, sqlstate="22000") from error
    transactions.follow(cursor, text, name=name)
    _finish_merge(cursor)
    return result


def _prepared(cursor: Any, expression: exp.Expression) -> exp.Expression:
    if isinstance(expression, exp.Create) and expression.find(exp.TemporaryProperty):
        table = expression.find(exp.Table)
        if table is not None and table.db:
            # a temporary table in a schema: here an ordinary one, which its maker drops
            kept = [
                each
                for each in expression.args["properties"].expressions
                if not isinstance(each, exp.TemporaryProperty)
            ]
            expression.set("properties", exp.Properties(expressions=kept) if kept else None)
    if not isinstance(expression, exp.Copy):
        for table in _stages(expression):
            table.replace(_staged(cursor, table))
    for path in list(expression.find_all(exp.JSONExtract)):
        if isinstance(path.this, exp.Parameter) and (key := path.expression.find(exp.JSONPathKey)):
            path.replace(exp.column(exp.to_identifier(key.this, quoted=True)))
    return expression


def _stages(expression: exp.Expression) -> list[exp.Table]:
    tables = expression.find_all(exp.Table)
    return [table for table in tables if isinstance(table.this, exp.Var) and table.name.startswith("@")]


def _staged(cursor: Any, table: exp.Table) -> exp.Expression:
    """A file on a stage can be read like a table: ``FROM @stage/path (FILE_FORMAT => '...')``."""
    name, _, path = table.name[1:].partition("/")
    parts = stage.parts_from_var(name, cursor._conn.database, cursor._conn.schema)
    file = Path(stage.internal_dir(".".join(parts))) / path
    read = exp.Anonymous(this="read_parquet", expressions=[exp.Literal.string(str(file))])
    alias = table.args.get("alias")
    return exp.Table(this=read, alias=alias.copy() if alias else None)


def _refuse_ambiguous(cursor: Any, merge: exp.Merge, params: Any) -> None:
    """A MERGE whose source has two rows for one of the target's fails (ERROR_ON_NONDETERMINISTIC_MERGE); DuckDB takes
    one of them. The WHEN clauses are not looked at: ours never need them to tell rows of the source apart.
    """
    target, source = merge.this.copy(), merge.args["using"].copy()
    name = target.alias_or_name
    target.set("alias", None)
    held = f"(SELECT *, row_number() OVER () AS emulated_row FROM {target.sql(dialect='duckdb')}) AS {name}"
    query = f"""SELECT 1 FROM {held} JOIN {source.sql(dialect="duckdb")} ON {merge.args["on"].sql(dialect="duckdb")}
GROUP BY {name}.emulated_row HAVING count(*) > 1 LIMIT 1"""
    used = sum(len(list(part.find_all(exp.Placeholder))) for part in (source, merge.args["on"]))
    if cursor._duck_conn.execute(query, list(params or [])[:used] or None).fetchall():
        raise ProgrammingError(msg="Duplicate row detected during DML action", errno=AMBIGUOUS, sqlstate="42P18")


def _finish_merge(cursor: Any) -> None:
    if isinstance(cursor._last_transformed, exp.Merge):
        count = cursor._arrow_table.column(0)[0].as_py() if cursor._arrow_table.num_rows else 0
        answer(cursor, f'SELECT {count} AS "number of rows updated"', cursor._last_transformed)
        cursor._rowcount = count


def _comment_sql(catalog: str, schema: str, table: str, comment: str | None) -> str:
    """A comment may hold quotes, or not be there."""
    names = ", ".join("'" + name.replace("'", "''") + "'" for name in (catalog, schema, table, comment or ""))
    return f"""INSERT INTO _fs_global._fs_information_schema._fs_tables_ext VALUES ({names})
ON CONFLICT (ext_table_catalog, ext_table_schema, ext_table_name) DO UPDATE SET comment = excluded.comment"""


def _remove(cursor: Any, match: re.Match[str]) -> Any:
    name, _, path = match[1].partition("/")
    parts = stage.parts_from_var(name, cursor._conn.database, cursor._conn.schema)
    shutil.rmtree(Path(stage.internal_dir(".".join(parts))) / path, ignore_errors=True)
    return answer(cursor, "SELECT 'removed' AS result")


#: SHOW TABLES tells comments.
_COMMENT = """coalesce((
    SELECT comment FROM _fs_global._fs_information_schema._fs_tables_ext
    WHERE ext_table_catalog = table_catalog AND ext_table_schema = table_schema AND ext_table_name = table_name
), '') as comment"""

_DDL = re.compile(r"(CREATE|ALTER|DROP|COMMENT)\b", re.IGNORECASE)

_SPECIALS: dict[re.Pattern[str], Callable[[Any, re.Match[str]], Any]] = {
    re.compile(r"SHOW\s+TRANSACTIONS\s*$", re.IGNORECASE): transactions.show,
    re.compile(r"SELECT\s+SYSTEM\$ABORT_TRANSACTION\((\d+)\)\s*$", re.IGNORECASE): transactions.abort,
    re.compile(r"REMOVE\s+@(\S+?)/?\s*$", re.IGNORECASE): _remove,
}
