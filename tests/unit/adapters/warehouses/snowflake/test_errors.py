"""Errors of the connector: what each becomes, what is tried again, and that nothing of their texts goes out."""

from __future__ import annotations

import pytest
from snowflake.connector import errors as driver
from snowflake.connector.network import ReauthenticationRequest

from adapters.warehouses.snowflake.errors import is_transient, translated
from adapters.warehouses.snowflake.meanings import BY_CLASS, BY_STATE, MEANINGS
from pipeline.domain.errors import PipelineError, WarehouseError, WarehouseRejected, WarehouseUnreachable

CANARY = "canary-7d3f"


def raised(error: Exception) -> PipelineError:
    """What a caller gets for an error of the connector."""
    with pytest.raises(PipelineError) as caught, translated("snowflake acme/RAW"):
        raise error
    return caught.value


def sql(errno: int, sqlstate: str) -> driver.ProgrammingError:
    return driver.ProgrammingError(msg=f"Duplicate row: [{CANARY}]", errno=errno, sqlstate=sqlstate, query=CANARY)


@pytest.mark.parametrize(
    ("error", "kind", "retried", "what"),
    [
        (sql(606, "57P03"), WarehouseRejected, False, "no warehouse runs statements for this session"),
        (sql(608, "57P03"), WarehouseRejected, False, "the warehouse is suspended and does not resume by itself"),
        (
            sql(90073, "22000"),
            WarehouseRejected,
            False,
            "the warehouse may not resume: a resource monitor has used up its quota",
        ),
        (sql(3001, "42501"), WarehouseRejected, False, "a privilege is missing"),
        (sql(2003, "42S02"), WarehouseRejected, False, "an object does not exist, or the role may not see it"),
        (sql(90105, "22000"), WarehouseRejected, False, "an object does not exist, or the role may not see it"),
        (sql(625, "57014"), WarehouseUnreachable, True, "another session holds a lock on the table"),
        (sql(626, "57014"), WarehouseUnreachable, True, "another session holds a lock on the table"),
        (sql(630, "57014"), WarehouseError, False, "a statement took longer than its time-out"),
        (sql(604, "57014"), WarehouseError, False, "a statement was cancelled"),
        (sql(603, "XX000"), WarehouseUnreachable, True, "the service failed inside"),
        (sql(100090, "42P18"), WarehouseError, False, "a MERGE met a key twice"),
        (sql(100038, "22018"), WarehouseError, False, "a statement failed"),
        (sql(390114, "08001"), WarehouseUnreachable, True, "the session has ended"),
        (sql(9999, "42501"), WarehouseRejected, False, "a privilege is missing"),
        (sql(9999, "08003"), WarehouseUnreachable, True, "the connection was lost"),
        (ReauthenticationRequest(sql(390114, "08001")), WarehouseUnreachable, True, "the session has ended"),
        (driver.OperationalError(CANARY, errno=250003), WarehouseUnreachable, True, "the connection was lost"),
        (driver.DatabaseError(CANARY, errno=250002), WarehouseUnreachable, True, "the connection was lost"),
        (driver.InternalServerError(errno=500), WarehouseUnreachable, True, "the account gave no answer"),
        (driver.TooManyRequests(errno=429), WarehouseUnreachable, True, "the account gave no answer"),
        (
            driver.OperationalError(CANARY, errno=253003),
            WarehouseUnreachable,
            True,
            "a file could not be brought to or from the stage",
        ),
        (
            driver.RequestExceedMaxRetryError(CANARY),
            WarehouseUnreachable,
            True,
            "a file could not be brought to or from the stage",
        ),
        (
            driver.NonRetryableTlsError(CANARY, errno=250001),
            WarehouseRejected,
            False,
            "the server's certificate is not trusted",
        ),
        (
            driver.OperationalError(CANARY, errno=254007),
            WarehouseRejected,
            False,
            "the server's certificate is not trusted",
        ),
        (driver.Error(CANARY), WarehouseError, False, "a statement failed"),
        (
            OSError(28, CANARY),
            WarehouseError,
            False,
            "a file on this machine could not be read or written",
        ),
        (ConnectionResetError(104, CANARY), WarehouseUnreachable, True, "the connection was lost"),
    ],
)
def test_each_error_becomes_one_of_the_products_with_what_mends_it(
    error: Exception, kind: type[PipelineError], retried: bool, what: str
) -> None:
    found = raised(error)
    assert type(found) is kind
    assert found.what.rpartition(" (")[0] == what
    assert found.hint
    assert is_transient(found) is retried
    cause = error.cause if isinstance(error, ReauthenticationRequest) else error
    assert is_transient(cause) is retried


def test_only_class_number_and_sqlstate_go_out() -> None:
    found = raised(sql(100090, "42P18"))
    assert str(found) == (
        "snowflake acme/RAW: a MERGE met a key twice (ProgrammingError 100090 42P18) "
        "Nothing was loaded. Report it: it is a defect."
    )
    assert found.facts == {
        "error_class": "ProgrammingError",
        "errno": 100090,
        "sqlstate": "42P18",
        "is_transient": False,
    }
    assert found.__cause__ is None
    assert found.__suppress_context__


def test_an_sqlstate_that_is_none_is_not_passed_on() -> None:
    found = raised(driver.ProgrammingError(CANARY, errno=1, sqlstate=CANARY))
    assert CANARY not in str(found)
    assert found.facts["sqlstate"] is None


def test_every_meaning_says_what_to_do_and_what_may_pass_is_unreachable() -> None:
    for meaning in (*MEANINGS.values(), *BY_CLASS.values(), *BY_STATE.values()):
        assert meaning.what
        assert meaning.hint
        assert not meaning.is_transient or meaning.error is WarehouseUnreachable


def test_other_errors_pass_as_they_are() -> None:
    with pytest.raises(KeyError), translated("snowflake acme/RAW"):
        raise KeyError
    assert not is_transient(KeyError())
