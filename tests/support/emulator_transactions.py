"""Transactions of the emulator as the service has them: numbered, listed, aborted, and writers wait for each other."""

from __future__ import annotations

import itertools
import re
import threading
import time
from collections.abc import Callable
from typing import Any

import duckdb
import sqlglot
from snowflake.connector.errors import ProgrammingError
from sqlglot import exp

from tests.support.emulator_speed import note_description

#: How long a statement waits for a lock, whatever LOCK_TIMEOUT says, and how often it looks.
LOCK_TIMEOUT_S = 10.0
_POLL_S = 0.02

LOCKED = 625

#: The transaction that each connection has open, by the connection's identity: its number, whether it wrote, and its
#: name.
_transactions: dict[int, list[Any]] = {}
_numbers = itertools.count(1_700_000_000_000)
_session_of: dict[int, int] = {}
_connections: dict[int, Any] = {}
_sleep = threading.Event().wait


def register(connection: Any, session: int) -> None:
    """Know a connection by its session's number."""
    _session_of[id(connection)] = session
    _connections[session] = connection


def forget(connection: Any) -> None:
    """A session ends, and what it has open with it."""
    _transactions.pop(id(connection), None)
    _connections.pop(_session_of.pop(id(connection), 0), None)


def commit_open(cursor: Any) -> None:
    """DDL commits the open transaction."""
    if _transactions.pop(id(cursor._conn), None) is not None:
        cursor._duck_conn.commit()


def waiting_for_locks(cursor: Any, plain: Callable[[], Any]) -> Any:
    """The service lets a writer wait for another one's transaction and then see what it did; DuckDB gives up at once.

    That can be made good as long as the transaction did nothing yet, as where our first statement meets a lock.
    """
    deadline = time.monotonic() + LOCK_TIMEOUT_S
    open_one = _transactions.get(id(cursor._conn))
    while True:
        try:
            result = plain()
        except duckdb.TransactionException as error:
            if (open_one is not None and open_one[1]) or time.monotonic() >= deadline:
                raise ProgrammingError(msg="a lock was not released in time", errno=LOCKED, sqlstate="57014") from error
            if open_one is not None:
                cursor._duck_conn.rollback()
                cursor._duck_conn.begin()
            _sleep(_POLL_S)
        else:
            if open_one is not None:
                open_one[1] = True
            return result


def without_name(command: str) -> tuple[str, str]:
    """``BEGIN NAME "x"`` as plain BEGIN, and the name; anything else as it is."""
    match = _NAMED.match(command)
    return ("BEGIN", match[1].replace('""', '"')) if match else (command, "")


_NAMED = re.compile(r'\s*BEGIN NAME "((?:[^"]|"")*)"', re.IGNORECASE)


def follow(cursor: Any, text: str, *, name: str) -> None:
    """Know which transactions are open."""
    word = text.split(maxsplit=1)[0].upper().rstrip(";") if text else ""
    if word == "BEGIN":
        _transactions[id(cursor._conn)] = [next(_numbers), False, name]
    elif word in {"COMMIT", "ROLLBACK"}:
        _transactions.pop(id(cursor._conn), None)


def show(cursor: Any, match: re.Match[str]) -> Any:
    """SHOW TRANSACTIONS."""
    rows = ", ".join(
        "({}, 'pipeline', {}, '{}', 'running')".format(number, _session_of[connection], name.replace("'", "''"))
        for connection, (number, _, name) in _transactions.items()
    )
    listed = f"(VALUES {rows}) AS t" if rows else "(SELECT 0, '', 0, '', '' WHERE false) AS t"
    return answer(cursor, f'SELECT * FROM {listed}("id", "user", "session", "name", "state")')


def abort(cursor: Any, match: re.Match[str]) -> Any:
    """SYSTEM$ABORT_TRANSACTION."""
    wanted = int(match[1])
    for connection, (number, _, _) in list(_transactions.items()):
        if number == wanted:
            _connections[_session_of[connection]]._duck_conn.rollback()
            _transactions.pop(connection)
    return answer(cursor, "SELECT 'aborted' AS status")


def answer(cursor: Any, sql: str, transformed: exp.Expression | None = None) -> Any:
    """Answer a statement by the result of a query."""
    cursor._duck_conn.execute(sql)
    cursor._arrow_table = cursor._duck_conn.to_arrow_table()
    note_description(cursor)
    cursor._arrow_table_fetch_index = None
    cursor._rowcount = cursor._arrow_table.num_rows
    cursor._sfqid = f"emulated-{next(_numbers)}"
    cursor._last_sql, cursor._last_params = sql, None
    cursor._last_transformed = transformed or sqlglot.parse_one(sql, read="duckdb")
    return cursor
