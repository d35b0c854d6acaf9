"""What costs nothing: checkpoints of idle pipelines and ``doctor`` wake no warehouse; and what a load takes."""

from __future__ import annotations

from datetime import timedelta

import attrs
import pytest

from adapters.warehouses.snowflake import build
from adapters.warehouses.snowflake.inspection import inspect
from adapters.warehouses.snowflake.session import Session
from adapters.warehouses.snowflake.statement import Statement, literal
from pipeline.domain.errors import PipelineError
from pipeline.domain.finding import Level
from pipeline.domain.position import Position
from tests.conformance.warehouse_ground import FIRST, GROUP, create, load, target_for
from tests.real_snowflake.account import Account, differs_on_emulator
from tests.support.told import Log

MINUTE = timedelta(minutes=1)


def state(session: Session, name: str) -> str:
    """Whether the warehouse is STARTED or SUSPENDED."""
    rows = session.named_rows(Statement(f"SHOW WAREHOUSES LIKE {literal(name)}"))
    return str(rows[0]["state"])


def suspend(session: Session, name: str) -> None:
    """Suspend the warehouse; the test is skipped where the role may not or somebody else keeps it busy."""
    try:
        session.execute(Statement(f"ALTER WAREHOUSE {name} SUSPEND"))
    except PipelineError as error:
        if state(session, name) != "SUSPENDED":
            pytest.skip(f"the warehouse cannot be suspended by this role: {error.what}")


@differs_on_emulator("its warehouse is always started")
def test_idle_checkpoints_reading_them_and_doctor_wake_no_warehouse(account: Account, database: str) -> None:
    name = str(account.given["warehouse"])
    warehouse = build("warehouse", account.warehouse_options(database))
    warehouse.setup(GROUP)
    warehouse.begin(FIRST)
    # of a row that was written just now nothing is in the result cache
    checkpoint = load(warehouse, create(warehouse, target_for()), [Log().insert(id=1, name="a")])
    with account.session(database) as session:
        suspend(session, name)
        for number in range(3):
            later = attrs.evolve(checkpoint, position=Position({"lsn": 200 + number}), at=checkpoint.at + MINUTE)
            with account.timed("idle checkpoint"):
                warehouse.idle(checkpoint, later)
            checkpoint = later
        assert warehouse.checkpoint(GROUP) == checkpoint
        with account.timed("doctor"):
            inspect(account.options(database))
        assert state(session, name) == "SUSPENDED"
    warehouse.close()


def test_doctor_finds_no_error_in_an_account_that_these_tests_can_run_on(account: Account, database: str) -> None:
    errors = [finding for finding in inspect(account.options(database)) if finding.level is Level.ERROR]
    assert errors == []


@pytest.mark.parametrize("count", [1, 10_000])
def test_how_long_a_load_takes(account: Account, database: str, count: int) -> None:
    warehouse = build("warehouse", account.warehouse_options(database))
    with account.timed("setup"):
        warehouse.setup(GROUP)
    warehouse.begin(FIRST)
    with account.timed("creating the tables of a stream"):
        target = create(warehouse, target_for())
    checkpoint, log = FIRST, Log()
    for number in range(3):
        log.commit()
        changes = [log.insert(id=number * count + key, name=f"name {key}") for key in range(count)]
        with account.timed(f"load of {count} changes"):
            checkpoint = load(warehouse, target, changes, after=checkpoint)
    assert warehouse.current(target).num_rows == 3 * count
    warehouse.close()
