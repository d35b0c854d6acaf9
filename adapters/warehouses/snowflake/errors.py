"""Errors of the connector and of the service as errors of the product, by class and number, never by text.

Texts of the service may hold row values, so only class, number and SQLSTATE go out (P10). How often and how long a
call is tried again is ``session``'s.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import attrs

from pipeline.domain.errors import PipelineError, WarehouseError, WarehouseRejected, WarehouseUnreachable


@attrs.frozen
class Meaning:
    """What an error means: ``error`` is raised, ``hint`` says what mends it, and if ``is_transient`` the same call may
    succeed in a moment.
    """

    what: str
    error: type[PipelineError]
    hint: str
    is_transient: bool = False


_LOST = Meaning("the connection was lost", WarehouseUnreachable, "Run it again; it goes on from the checkpoint.", True)
_FAILED = Meaning("a statement failed", WarehouseError, "Look the statement up in Snowflake's query history.")

MEANINGS: dict[int, Meaning] = {
    250001: Meaning("signing in got no answer", WarehouseUnreachable, "Check account, host and the network.", True),
    250002: _LOST,
    250003: _LOST,
    390100: Meaning("user or password is wrong", WarehouseRejected, "Correct user and password."),
}


@contextmanager
def translated(where: str) -> Iterator[None]:
    """Raise the connector's errors as the product's, with class, number, SQLSTATE and query id alone."""
    from snowflake.connector.errors import Error

    try:
        yield
    except Error as error:
        raise error_of(error, where) from None


def error_of(error: Exception, where: str) -> PipelineError:
    """The product's error for one of the connector's."""
    meaning = meaning_of(error)
    name, errno = type(error).__name__, getattr(error, "errno", -1)
    sqlstate = getattr(error, "sqlstate", None)
    return meaning.error(
        f"{meaning.what} ({name} {errno})",
        where=where,
        hint=meaning.hint,
        error_class=name,
        errno=errno,
        sqlstate=sqlstate,
        query_id=getattr(error, "sfqid", None),
    )


def meaning_of(error: Exception) -> Meaning:
    """What an error of the connector means."""
    return MEANINGS.get(getattr(error, "errno", -1), _FAILED)


def is_transient(error: Exception) -> bool:
    """Whether the same call may succeed in a moment: of the connector's errors, and of those translated here."""
    errno = error.facts.get("errno") if isinstance(error, PipelineError) else getattr(error, "errno", None)
    return isinstance(errno, int) and errno in MEANINGS and MEANINGS[errno].is_transient
