"""What a process that was killed within its transaction leaves: a checkpoint that is locked until somebody ends it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from adapters.warehouses.snowflake import build, checkpoints
from adapters.warehouses.snowflake.options import parse
from adapters.warehouses.snowflake.session import Session, open_session
from adapters.warehouses.snowflake.statement import Statement, quote
from adapters.warehouses.snowflake.warehouse import SnowflakeWarehouse
from pipeline.domain.errors import WarehouseUnreachable
from tests.conformance.warehouse_ground import FIRST, GROUP, create, following, load, target_for
from tests.support.emulator import Emulator
from tests.support.told import Log

pytestmark = pytest.mark.slow


@pytest.fixture
def warehouse(emulator: Emulator, database: str) -> Iterator[SnowflakeWarehouse]:
    made = build("warehouse", emulator.options(database))
    made.setup(GROUP)
    made.begin(FIRST)
    create(made, target_for())
    yield made
    made.close()


@pytest.fixture
def other(emulator: Emulator, database: str) -> Iterator[Session]:
    """A session of another process."""
    session = open_session(parse("other", emulator.options(database)))
    yield session
    session.close()


def keep_locked(session: Session, name: str) -> None:
    """Move the checkpoint in a transaction of the name, and go no further."""
    session.execute(Statement(f"BEGIN NAME {quote(name)}"))
    session.execute(checkpoints.move_checkpoint(FIRST, following(FIRST)))


def load_one(warehouse: SnowflakeWarehouse) -> None:
    assert load(warehouse, target_for(), [Log().insert(id=1, name="a")]) == warehouse.checkpoint(GROUP)


def test_a_load_ends_the_transaction_in_which_another_load_of_the_group_was_left(
    warehouse: SnowflakeWarehouse, other: Session, database: str
) -> None:
    keep_locked(other, f"load {database} {GROUP}")
    load_one(warehouse)
    assert warehouse.current(target_for()).to_pylist() == [{"id": 1, "name": "a"}]
    other.roll_back()  # as its end would


def test_a_transaction_of_anybody_else_is_left_alone(
    warehouse: SnowflakeWarehouse, other: Session, database: str
) -> None:
    keep_locked(other, f"load OTHER_{database} {GROUP}")
    with pytest.raises(WarehouseUnreachable):
        load_one(warehouse)
    other.roll_back()
    load_one(warehouse)
