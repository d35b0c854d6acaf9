"""The account of these tests, made and cleaned up once; see ``account``."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress

import pytest

from pipeline.domain.errors import PipelineError
from tests.real_snowflake.account import ON_EMULATOR, VARIABLES, Account, why_not
from tests.support.emulator import Emulator

#: Without an account one test says so, instead of hundreds.
collect_ignore = (
    []
    if ON_EMULATOR or not why_not(os.environ)
    else ["test_conformance.py", "test_cost.py", "test_marts.py", "test_service.py"]
)

_TIMINGS = pytest.StashKey[dict[str, list[float]]]()


@pytest.fixture(scope="session")
def account(request: pytest.FixtureRequest) -> Iterator[Account]:
    """The account, or the reason why these tests are skipped."""
    if ON_EMULATOR:
        with Emulator() as emulator:
            given = {key: value for key, value in emulator.options("ANY").items() if key != "database"}
            found = Account({**given, "warehouse": "FAKESNOW_WAREHOUSE"})
            request.config.stash[_TIMINGS] = found.timings
            yield found
        return
    reason = why_not(os.environ)
    if reason is not None:
        pytest.skip(reason)
    found = Account({option: os.environ[name] for name, option in VARIABLES.items() if os.environ.get(name)})
    request.config.stash[_TIMINGS] = found.timings
    try:
        yield found
    finally:
        with suppress(PipelineError):
            found.drop_all()


@pytest.fixture
def database(account: Account) -> str:
    """A fresh database."""
    return account.database()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print what took how long."""
    timings = config.stash.get(_TIMINGS, None)
    if timings:
        terminalreporter.section("seconds on " + ("the emulator" if ON_EMULATOR else "the account"))
        for what, seconds in timings.items():
            terminalreporter.line(f"{min(seconds):8.2f} to {max(seconds):8.2f}  {what}, {len(seconds)} times")
