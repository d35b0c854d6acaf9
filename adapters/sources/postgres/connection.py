"""Connections to a PostgreSQL server, all with the same pinned session settings, and its errors as ours.

What is asked over them is told in ``sql``; retries are the caller's.
"""

from __future__ import annotations

import select
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import psycopg
import pyarrow as pa
from psycopg import pq
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.pq.abc import PGconn, PGresult

from adapters.sources.postgres.options import PostgresOptions
from pipeline.domain.errors import PipelineError, SourceError, SourceRejected, SourceUnreachable

if TYPE_CHECKING:
    import adbc_driver_manager.dbapi

Row = tuple[Any, ...]

#: Settings that change how values are written, pinned so that snapshot and log write them alike, and settings that
#: would hide rows or end a long read. https://www.postgresql.org/docs/current/runtime-config-client.html
SESSION: dict[str, str] = {
    "DateStyle": "ISO, YMD",
    "IntervalStyle": "iso_8601",
    "TimeZone": "UTC",
    "bytea_output": "hex",
    "extra_float_digits": "1",
    "xmloption": "content",
    "search_path": "pg_catalog",
    "row_security": "off",
    "default_transaction_isolation": "read committed",
    "idle_in_transaction_session_timeout": "0",
    "idle_session_timeout": "0",
    "synchronous_commit": "on",
}

#: A control statement that takes longer than this is given up.
CONTROL_TIMEOUT_S = 60

_TRANSACTION_TIMEOUT_SINCE = 170000

_DIRECT = "Replication needs a direct connection: no pgBouncer in between, a REPLICATION role."

#: SQLSTATEs (or their classes) after which trying again can help: connection lost, server starting, stopping or full.
_RETRY = ("08", "53", "57P", "25P03", "57014", "55P03", "40", "58000", "58030", "XX000")
#: SQLSTATEs that somebody has to change something for: privileges, objects, settings, read-only servers.
_REJECT = ("28", "42", "3D000", "3F000", "55", "25006", "0A000", "22023", "2BP01")


class Connector:
    """Opens connections of each kind. Every method raises ``SourceUnreachable`` or ``SourceRejected``."""

    def __init__(self, options: PostgresOptions) -> None:
        self._options = options
        self.where = options.where

    def sql(self, *, timeout_s: float = CONTROL_TIMEOUT_S) -> psycopg.Connection[Row]:
        """A connection for SQL in autocommit mode; 0 means that statements may take as long as they want."""
        with translated(self.where):
            connection = self._connect(self._conninfo(timeout_s))
            if connection.info.server_version >= _TRANSACTION_TIMEOUT_SINCE:
                connection.execute("SET transaction_timeout = 0")
            return connection

    def arrow(self) -> adbc_driver_manager.dbapi.Connection:
        """A connection that reads whole tables as Arrow, in a transaction of its own from the start."""
        import adbc_driver_postgresql.dbapi

        with translated(self.where):
            return adbc_driver_postgresql.dbapi.connect(self._conninfo(0))

    def replication(self) -> PGconn:
        """A connection in replication mode (a walsender), still blocking."""
        try:
            with translated(self.where):
                # Not by PGconn.connect, which would stop every thread until the server answers.
                conninfo = make_conninfo(self._conninfo(0), replication="database")
                link = self._connect(conninfo).pgconn
        except PipelineError as error:
            raise attach(error, hint=_DIRECT) from None
        if link.server_version >= _TRANSACTION_TIMEOUT_SINCE:
            refuse_failure(exchange(link, "SET transaction_timeout = 0", where=self.where), self.where)
        return link

    def _connect(self, conninfo: str) -> psycopg.Connection[Row]:
        try:
            return psycopg.connect(conninfo, autocommit=True, prepare_threshold=None)
        except psycopg.OperationalError as error:
            if error.sqlstate is None and error.pgconn is None:
                # It came to nothing before a server was asked, as with a host name that nobody knows.
                raise _unreachable(self.where) from None
            raise

    def _conninfo(self, timeout_s: float) -> str:
        given = str(conninfo_to_dict(self._options.conninfo).get("options") or "")
        settings = {
            **SESSION,
            "statement_timeout": str(int(timeout_s * 1000)),
            "lock_timeout": str(int(self._options.lock_timeout_s * 1000)),
        }
        pinned = " ".join(f"-c {name}={_escaped(value)}" for name, value in settings.items())
        return make_conninfo(self._options.conninfo, options=f"{given} {pinned}".strip(), client_encoding="UTF8")


class Session:
    """One connection for short statements, opened on first use and again after it was lost; safe between threads."""

    def __init__(self, connector: Connector) -> None:
        self._connector = connector
        self._connection: psycopg.Connection[Row] | None = None
        self._lock = threading.RLock()
        self.where = connector.where

    @property
    def version(self) -> int:
        """The server's version, as 160004."""
        return int(self._open().info.server_version)

    @property
    def is_encrypted(self) -> bool:
        """Whether TLS protects the connection."""
        return bool(self._open().pgconn.ssl_in_use)

    def rows(self, sql: str, *parameters: object) -> list[Row]:
        """Run one statement and give its rows; empty where it gives none."""
        with self._lock, translated(self.where):
            cursor = self._open().execute(sql, parameters or None)
            return cursor.fetchall() if cursor.description else []

    def value(self, sql: str, *parameters: object) -> Any:
        """The first value of the first row, None without a row."""
        rows = self.rows(sql, *parameters)
        return rows[0][0] if rows else None

    def script(self, statements: Sequence[str]) -> None:
        """Run statements in one transaction."""
        with self._lock, translated(self.where):
            connection = self._open()
            with connection.transaction():
                for statement in statements:
                    connection.execute(statement)

    def close(self) -> None:
        """Close the connection, if any."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    def _open(self) -> psycopg.Connection[Row]:
        with self._lock:
            if self._connection is None or self._connection.closed:
                self._connection = self._connector.sql()
            return self._connection


@contextmanager
def translated(where: str) -> Iterator[None]:
    """Turn the driver's errors into ours; the original is dropped, since it can hold values and secrets (P10)."""
    try:
        yield
    except psycopg.OperationalError as error:
        if error.sqlstate is None and error.pgconn is not None and error.pgconn.status != pq.ConnStatus.OK:
            raise connection_refused(error.pgconn, where) from None
        raise server_error(error.sqlstate, where, error_class=type(error).__name__) from None
    except psycopg.Error as error:
        raise server_error(error.sqlstate, where, error_class=type(error).__name__) from None
    except TimeoutError:
        raise  # our own patience, which callers have an answer to
    except (OSError, pa.ArrowException) as error:
        # What breaks while ADBC's stream is read comes by way of Arrow, with a text and no SQLSTATE.
        raise SourceUnreachable(
            "the connection to PostgreSQL was lost, or the server gave up, while rows were read",
            where=where,
            hint="Look at the server's log, then start again.",
            error_class=type(error).__name__,
        ) from None
    except Exception as error:
        if type(error).__module__.startswith("adbc_driver_manager"):
            state = getattr(error, "sqlstate", None)
            raise server_error(state, where, error_class=type(error).__name__) from None
        raise


def server_error(sqlstate: str | None, where: str, *, error_class: str = "") -> PipelineError:
    """Our error for a SQLSTATE; None means that the connection was lost."""
    facts = {"sqlstate": sqlstate or "", "error_class": error_class}
    if not sqlstate:
        return SourceUnreachable(
            "the connection to PostgreSQL was lost",
            where=where,
            hint="Look at the server's log, then start again.",
            **facts,
        )
    if sqlstate == "42501":
        return SourceRejected(
            "PostgreSQL refused a statement for want of a privilege (42501)",
            where=where,
            hint="Run 'doctor' to see which privilege, row security policy or ownership is in the way.",
            **facts,
        )
    if sqlstate.startswith(_RETRY):
        return SourceUnreachable(f"PostgreSQL could not serve a statement now ({sqlstate})", where=where, **facts)
    if sqlstate.startswith(_REJECT):
        return SourceRejected(
            f"PostgreSQL refused a statement ({sqlstate})", where=where, hint="Run 'doctor' to see why.", **facts
        )
    return SourceError(f"PostgreSQL failed a statement ({sqlstate})", where=where, **facts)


def connection_refused(link: PGconn, where: str) -> PipelineError:
    """Our error for a connection that did not come about; libpq gives no SQLSTATE for these."""
    if link.needs_password:
        return SourceRejected("PostgreSQL wants a password and none is given", where=where, hint="Set the password.")
    if link.used_password:
        return SourceRejected(
            "PostgreSQL refused the connection after the password was sent",
            where=where,
            hint="Check user, password, database and the role's rights to connect.",
        )
    return _unreachable(where)


def _unreachable(where: str) -> PipelineError:
    return SourceUnreachable(
        "PostgreSQL could not be reached",
        where=where,
        hint="Check host, port, TLS settings, pg_hba.conf, and whether the server is up.",
    )


def attach(error: PipelineError, *, hint: str) -> PipelineError:
    """The same error with one more piece of advice."""
    return type(error)(error.what, where=error.where, hint=f"{error.hint} {hint}".strip(), **error.facts)


def exchange(link: PGconn, text: str, *, where: str, timeout_s: float = CONTROL_TIMEOUT_S) -> PGresult:
    """Run one command on a replication connection and give its result, an error too.

    Other threads go on meanwhile. Raises ``TimeoutError`` when the server takes longer, ``SourceUnreachable`` when
    the connection is lost.
    """
    deadline = time.monotonic() + timeout_s
    with translated(where):
        link.send_query(text.encode())
        while link.is_busy():
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError
            if select.select([link.socket], [], [], left)[0]:
                link.consume_input()
        result = link.get_result()
        if result is None:
            raise server_error(None, where)
        while result.status != pq.ExecStatus.COPY_BOTH and link.get_result() is not None:
            continue
        return result


def refuse_failure(result: PGresult, where: str) -> None:
    """Raise our error if a result is one."""
    if result.status in {pq.ExecStatus.FATAL_ERROR, pq.ExecStatus.BAD_RESPONSE}:
        raise server_error(sqlstate_of(result), where)


def sqlstate_of(result: PGresult) -> str | None:
    """The SQLSTATE of an error result, None where the connection itself broke."""
    field = result.error_field(pq.DiagnosticField.SQLSTATE)
    return field.decode() if field else None


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace(" ", "\\ ")
