import itertools
from typing import Any

import pytest
from snowflake.connector.errors import DatabaseError, OperationalError, ProgrammingError

from adapters.transform.worker import _failure


def _chained(*errors: Exception) -> Exception:
    """The first error as it is caught when each was raised while the next one was handled, as dbt does it."""
    for error, cause in itertools.pairwise(errors):
        error.__context__ = cause
    return errors[0]


@pytest.mark.parametrize(
    ("driver", "answer"),
    [
        (OperationalError("canary", errno=250001), {"status": "unreachable", "error": "OperationalError 250001"}),
        (DatabaseError("canary", errno=390100), {"status": "refused", "error": "DatabaseError 390100"}),
        (ProgrammingError("canary", errno=2043), {"status": "refused", "error": "ProgrammingError 002043"}),
    ],
)
def test_a_connection_that_failed_is_told_by_its_driver_s_class_and_number(
    driver: Exception, answer: dict[str, Any]
) -> None:
    assert _failure(_chained(RuntimeError("canary"), ValueError("canary"), driver, OSError(111, "canary"))) == answer


def test_any_other_failure_is_told_by_its_class() -> None:
    error = _chained(ValueError("canary"), OSError(111, "canary"))
    assert _failure(error) == {"status": "failed", "error": "ValueError", "variable": None}
    assert _failure(None) == {"status": "failed", "error": "NoneType", "variable": None}
