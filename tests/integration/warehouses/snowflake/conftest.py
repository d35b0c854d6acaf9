"""A database of its own on the emulator for each test of this folder, and a warehouse in it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from adapters.warehouses.snowflake import build
from adapters.warehouses.snowflake.warehouse import SnowflakeWarehouse
from tests.conformance.warehouse_ground import FIRST, GROUP
from tests.support.emulator import Emulator
from tests.support.statement_order import complaints


@pytest.fixture
def database(emulator: Emulator) -> Iterator[str]:
    """A fresh database; afterwards every session's order of statements is checked."""
    name = emulator.new_database()
    yield name
    assert complaints(emulator.seen(name)) == []
    emulator.drop(name)


@pytest.fixture
def warehouse(emulator: Emulator, database: str) -> Iterator[SnowflakeWarehouse]:
    """A warehouse that was set up and begun."""
    made = build("warehouse", emulator.options(database))
    made.setup(GROUP)
    made.begin(FIRST)
    yield made
    made.close()
