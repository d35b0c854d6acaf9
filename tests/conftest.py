"""What holds for all tests."""

from __future__ import annotations

import gc
import os
from collections.abc import Generator, Iterator

import pytest

from tests.support.emulator import Emulator
from tests.support.parts import Part, divide, slow_first

#: The features' steps; pytest takes plugins only from the outermost conftest.
pytest_plugins = [
    f"tests.support.steps.{name}" for name in ("ground", "given", "when", "then_tables", "then_books", "orchestration")
]


@pytest.fixture(scope="session")
def emulator() -> Iterator[Emulator]:
    """Snowflake's emulator, one for all tests that ask for it."""
    with Emulator() as running:
        yield running


def pytest_addoption(parser: pytest.Parser) -> None:
    """``--part``, by which runs share the tests."""
    parser.addoption("--part", metavar="K/N", help="run the Kth of N parts of the tests: see tests/support/parts.py")


def pytest_configure(config: pytest.Config) -> None:
    """Refuse what is no part, before there are workers."""
    if (told := config.getoption("part")) is not None:
        try:
            Part.parse(told)
        except ValueError as error:
            raise pytest.UsageError(str(error)) from None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what belongs to another part, and begin with what is slow."""
    if (told := config.getoption("part")) is not None:
        items[:], others = divide(items, Part.parse(told))
        config.hook.pytest_deselected(items=others)
    items[:] = slow_first(items)


def pytest_collection_finish() -> None:
    """The tests themselves are thousands of objects that stay: the garbage collector need not look at them."""
    gc.freeze()


def pytest_sessionfinish() -> None:
    """Libraries look for what is left of theirs when the process ends."""
    gc.unfreeze()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """In CI nothing may be missing, so a test that skips itself fails there."""
    report = yield
    if report.skipped and os.environ.get("CI") == "true" and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped in CI: {call.excinfo.value if call.excinfo else 'no reason given'}"
    return report
