"""Processes that begin in a fresh database at the same moment, as mapped tasks of a first run and pipelines do."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator

import pytest

from adapters.warehouses.snowflake import build
from tests.support.child import ROOT, environment
from tests.support.emulator import Emulator
from tests.support.statement_order import complaints

_GROUPS = ("crm", "fx", "shop")
_DATABASE_COUNT = 2


@pytest.fixture
def databases(emulator: Emulator) -> Iterator[list[str]]:
    """Fresh ones: who meets whom differs from one to the next."""
    names = [emulator.new_database() for _ in range(_DATABASE_COUNT)]
    yield names
    for name in names:
        assert complaints(emulator.seen(name)) == []
        emulator.drop(name)


@pytest.mark.slow
def test_groups_that_processes_begin_in_a_fresh_database_at_the_same_moment_all_load(
    emulator: Emulator, databases: list[str]
) -> None:
    told = [json.dumps(emulator.options(name)) for name in databases]
    newcomers = [_newcomer(group, told) for group in _GROUPS]
    for _ in databases:
        for newcomer in newcomers:
            assert newcomer.stdout is not None
            assert newcomer.stdout.readline() == "ready\n", newcomer.communicate(timeout=60)[1]
        for newcomer in newcomers:
            assert newcomer.stdin is not None
            newcomer.stdin.write("\n")
            newcomer.stdin.flush()
    assert [newcomer.communicate(timeout=60) for newcomer in newcomers] == [("ready\n", "")] * len(_GROUPS)
    for name in databases:
        warehouse = build("warehouse", emulator.options(name))
        held = [warehouse.checkpoint(group) for group in _GROUPS]
        rows = [warehouse.query(f'SELECT * FROM STAGING."SHOP__{group.upper()}"').num_rows for group in _GROUPS]
        warehouse.close()
        assert [checkpoint.load for checkpoint in held if checkpoint is not None] == [1] * len(_GROUPS)
        assert rows == [1] * len(_GROUPS)


@pytest.mark.parametrize("what", ["SCHEMA", "TABLE", "STAGE", "FILE FORMAT"])
def test_what_another_process_makes_at_this_moment_is_no_reason_to_fail(
    emulator: Emulator, database: str, what: str
) -> None:
    emulator.fault(database, pattern=f"CREATE {what} IF NOT EXISTS", kind="taken")
    warehouse = build("warehouse", emulator.options(database))
    warehouse.setup("crm")
    warehouse.close()
    assert [seen.error for seen in emulator.seen(database)].count(2002) == 1


def _newcomer(group: str, databases: list[str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "tests.support.newcomer", group, *databases],
        cwd=ROOT,
        env=environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
