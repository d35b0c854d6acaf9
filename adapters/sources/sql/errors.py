"""Errors of SQLAlchemy, its drivers and ADBC as ours, by class, SQLSTATE and code: never by a driver's text (P10).

What a database alone can tell is its own module's; retries are the caller's.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

import pyarrow as pa
from sqlalchemy import exc

from pipeline.domain.errors import ConfigError, Missing, PipelineError, SourceError, SourceRejected, SourceUnreachable

#: SQLSTATEs (or their classes) after which trying again can help: connection lost, rolled back, out of resources.
_RETRY = ("08", "40", "53", "57", "58", "HYT")
#: SQLSTATEs that somebody has to change something for: rights, names, syntax, features.
_REJECT = ("28", "42", "3D", "3F", "0A", "22023", "25006")
#: SQLite's primary codes that pass: busy, locked, interrupted, out of memory, error of reading.
_SQLITE_RETRY = {5, 6, 7, 9, 10}
#: Those that somebody has to change something for: no such table, no permission, cannot be opened, not a database.
_SQLITE_REJECT = {1, 3, 8, 14, 23, 26}

_LOST = "the database could not be reached, or the connection was lost"
_TRY_AGAIN = "Check host, port, TLS settings and whether the database is up."


@contextmanager
def translated(where: str) -> Iterator[None]:
    """Turn errors of drivers into ours; the original is dropped, since it can hold values and secrets."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise Missing(
            f"the driver {error.name} is not installed", where=where, hint="Install it, or name another in the url."
        ) from None
    except exc.SQLAlchemyError as error:
        raise _of_sqlalchemy(error, where) from None
    except sqlite3.Error as error:
        raise _of_driver(error, where) from None
    except (OSError, pa.ArrowException) as error:
        # What breaks while ADBC's stream is read comes by way of Arrow, with a text alone.
        raise SourceUnreachable(
            "rows could not be read to the end", where=where, hint="Try again.", error_class=type(error).__name__
        ) from None
    except Exception as error:
        if type(error).__module__.startswith("adbc_driver_manager"):
            raise _of_adbc(error, where) from None
        raise


def no_such_table(where: str) -> SourceRejected:
    """Our error for a table or view that is not there, or not visible."""
    return SourceRejected(
        "there is no such table or view, or the user may not see it",
        where=where,
        hint="Check its name (relation, or read.table) and the user's rights.",
        case="missing",
    )


def _of_sqlalchemy(error: exc.SQLAlchemyError, where: str) -> PipelineError:
    if isinstance(error, exc.NoSuchModuleError):
        return ConfigError(
            "SQLAlchemy knows no such dialect", where=where, hint="Install the dialect's package, or mend the url."
        )
    if isinstance(error, exc.NoSuchTableError):
        return no_such_table(where)
    if isinstance(error, exc.DBAPIError):
        return _of_driver(error.orig or error, where, is_lost=error.connection_invalidated)
    kind = type(error).__name__
    return SourceRejected("SQLAlchemy refused a statement", where=where, hint="Run 'doctor'.", error_class=kind)


def _of_driver(error: BaseException, where: str, *, is_lost: bool = False) -> PipelineError:
    kind = type(error).__name__
    if isinstance(error, sqlite3.Error):
        code = (getattr(error, "sqlite_errorcode", None) or 0) & 0xFF
        return _of_code(code, where, error_class=kind)
    state = _sqlstate(error)
    facts = {"error_class": kind, "sqlstate": state}
    told = f"({state or kind})"
    if is_lost or state.startswith(_RETRY) or (not state and kind in {"OperationalError", "InterfaceError"}):
        return SourceUnreachable(f"{_LOST} {told}", where=where, hint=_TRY_AGAIN, **facts)
    if state.startswith(_REJECT) or (not state and kind in {"ProgrammingError", "NotSupportedError"}):
        return SourceRejected(
            f"the database refused a statement {told}", where=where, hint="Run 'doctor' to see why.", **facts
        )
    return SourceError(f"the database failed a statement {told}", where=where, **facts)


def _of_adbc(error: Exception, where: str) -> PipelineError:
    """ADBC's driver for SQLite tells a status and no code of SQLite's."""
    status = getattr(getattr(error, "status_code", None), "name", "")
    facts = {"error_class": type(error).__name__, "status": status}
    if status in {"IO", "TIMEOUT", "CANCELLED"}:
        return SourceUnreachable(
            f"the database could not be opened or read ({status})",
            where=where,
            hint="Check that the file is there and may be read, and that no writer holds it for long.",
            **facts,
        )
    if status in {"INVALID_ARGUMENT", "NOT_FOUND", "UNAUTHENTICATED", "UNAUTHORIZED", "NOT_IMPLEMENTED"}:
        return SourceRejected(
            f"the database refused a statement ({status})", where=where, hint="Run 'doctor' to see why.", **facts
        )
    return SourceError(f"the database failed a statement ({status})", where=where, **facts)


def _of_code(code: int, where: str, *, error_class: str) -> PipelineError:
    facts = {"error_class": error_class, "code": code}
    if code in _SQLITE_RETRY:
        return SourceUnreachable(f"SQLite could not read now ({code})", where=where, hint="Try again.", **facts)
    if code in _SQLITE_REJECT:
        return SourceRejected(
            f"SQLite refused to read ({code})", where=where, hint="Check the file's path, rights and tables.", **facts
        )
    return SourceError(
        f"SQLite failed ({code})", where=where, hint="Check the file by PRAGMA integrity_check.", **facts
    )


def _sqlstate(error: BaseException) -> str:
    for name in ("sqlstate", "pgcode"):
        state = getattr(error, name, None)
        if isinstance(state, str):
            return state
    first = error.args[0] if error.args else None
    return first if isinstance(first, str) and len(first) == 5 and first.isalnum() and first.isupper() else ""
