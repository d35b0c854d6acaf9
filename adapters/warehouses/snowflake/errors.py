"""Errors of the connector and of the service as errors of the product, by class and number, never by text.

Texts of the service may hold row values, so only class, number and SQLSTATE go out (P10). What they mean is in
``meanings``; how often and how long a call is tried again is ``session``'s.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from adapters.warehouses.snowflake.meanings import (
    BY_CLASS,
    BY_STATE,
    CERTIFICATE,
    FAILED,
    FILES,
    LOCKED,
    LOCKED_STATE,
    LOST,
    MEANINGS,
    NO_ANSWER,
    REFUSED,
    Meaning,
)
from pipeline.domain.errors import PipelineError


@contextmanager
def translated(where: str) -> Iterator[None]:
    """Raise the connector's errors as the product's. ``where`` says what was being done, without values."""
    from snowflake.connector.errors import Error
    from snowflake.connector.network import ReauthenticationRequest

    try:
        yield
    except ReauthenticationRequest as request:
        raise error_of(request.cause, where) from None
    except (Error, OSError) as error:
        raise error_of(error, where) from None


def error_of(error: Exception, where: str) -> PipelineError:
    """The product's error for one of the connector's, with its class, number and SQLSTATE alone."""
    meaning = meaning_of(error)
    name, errno, sqlstate = type(error).__name__, _number(error), _sqlstate(error)
    code = " ".join(filter(None, (name, f"{errno:06d}" if errno is not None else "", sqlstate)))
    return meaning.error(
        f"{meaning.what} ({code})",
        where=where,
        hint=meaning.hint,
        error_class=name,
        errno=errno,
        sqlstate=sqlstate,
        is_transient=meaning.is_transient,
    )


def meaning_of(error: Exception) -> Meaning:
    """What an error of the connector, or of files and sockets below it, means."""
    if isinstance(error, OSError):
        # requests' errors are OSErrors without a number.
        is_network = error.errno is None or isinstance(error, ConnectionError | TimeoutError)
        return LOST if is_network else FILES
    for base in type(error).__mro__:
        if base.__name__ in BY_CLASS:
            return BY_CLASS[base.__name__]
    errno = _number(error)
    if errno == 250001 and type(error).__name__ == "DatabaseError":
        return REFUSED  # an answer it was, without a number of its own
    if errno is not None:
        meaning = MEANINGS.get(errno) or _by_range(errno)
        if meaning is not None:
            return meaning
    sqlstate = _sqlstate(error) or ""
    return next((BY_STATE[state] for state in BY_STATE if sqlstate.startswith(state)), FAILED)


def is_transient(error: Exception) -> bool:
    """Whether the same call may succeed in a moment; for the connector's errors and for translated ones."""
    if isinstance(error, PipelineError):
        return error.facts.get("is_transient") is True
    return meaning_of(error).is_transient


def is_locked(error: PipelineError) -> bool:
    """Whether a statement waited for the lock of another session for too long."""
    errno = error.facts.get("errno")
    return errno == LOCKED or (errno not in MEANINGS and error.facts.get("sqlstate") == LOCKED_STATE)


def _by_range(errno: int) -> Meaning | None:
    if 290000 <= errno < 300000 or 540000 <= errno < 550000:  # an HTTP status, or another number, on top of 290000
        return NO_ANSWER
    if 390000 <= errno < 400000:  # the service's own numbers for sessions
        return REFUSED
    return CERTIFICATE if 254000 <= errno < 255000 else None


def _number(error: Exception) -> int | None:
    errno = getattr(error, "errno", None)
    return errno if isinstance(errno, int) and errno >= 0 else None


def _sqlstate(error: Exception) -> str | None:
    sqlstate = getattr(error, "sqlstate", None)
    return sqlstate if isinstance(sqlstate, str) and sqlstate.isalnum() and len(sqlstate) == 5 else None
