"""Each warehouse and the row-by-row model hold the same tables after the same loads, in every mode (P4, P5, P6)."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from pathlib import Path

import pytest
from hypothesis import given

import adapters.warehouses.duckdb
import adapters.warehouses.memory
import adapters.warehouses.snowflake
from pipeline.ports.warehouse import Warehouse
from tests.support import differential
from tests.support.driver import Driver
from tests.support.emulator import Emulator
from tests.support.generator import History, histories
from tests.support.profiles import examples
from tests.support.statement_order import complaints
from tests.support.tables import content_of_equal_zeros

#: Opens an empty warehouse.
Opening = Callable[[], AbstractContextManager[Warehouse]]


@contextmanager
def _duckdb() -> Iterator[Warehouse]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "shop.duckdb"
        with closing(adapters.warehouses.duckdb.build("duckdb", {"path": str(path)})) as made:
            yield made


@pytest.fixture(scope="session")
def on_snowflake(emulator: Emulator) -> Opening:
    """Warehouses on the emulator; afterwards each session's order of statements is checked."""

    @contextmanager
    def opened() -> Iterator[Warehouse]:
        database = emulator.new_database()
        with closing(adapters.warehouses.snowflake.build("snowflake", emulator.options(database))) as made:
            yield made
        assert complaints(emulator.seen(database)) == []
        emulator.drop(database)

    return opened


@examples(8)
@given(histories())
def test_the_same_loads_make_the_same_tables(history: History) -> None:
    with _pair(history, _duckdb) as (model, duckdb):
        differential.check_loads(model, duckdb, history)


@examples(4)
@given(histories())
def test_a_rebuild_in_another_mode_makes_what_direct_loads_made(history: History) -> None:
    with _pair(history, _duckdb) as (model, duckdb):
        differential.check_rebuilds(model, duckdb, history)


@examples(4)
@given(histories(copies=False, additions=False))
def test_a_load_applied_again_leaves_the_staging_tables_as_they_are(history: History) -> None:
    with _pair(history, _duckdb) as (model, duckdb):
        differential.check_loads_again(model, duckdb, history)


@examples(4)
@given(histories(copies=False, additions=False))
def test_rows_compare_equal_to_the_source_and_to_nothing_else(history: History) -> None:
    with _pair(history, _duckdb) as (model, duckdb):
        differential.check_comparing(model, duckdb, history)


# The emulator's engine writes no value that equals the old one, so that 0.0 stays where -0.0 takes its place.


@pytest.mark.slow(seconds=230)
@examples(6)
@given(history=histories())
def test_the_same_loads_make_the_same_tables_on_snowflake(on_snowflake: Opening, history: History) -> None:
    with _pair(history, on_snowflake) as (model, snowflake):
        differential.check_loads(model, snowflake, history, told=content_of_equal_zeros)


@pytest.mark.slow(seconds=230)
@examples(3)
@given(history=histories())
def test_a_rebuild_on_snowflake_makes_what_direct_loads_made(on_snowflake: Opening, history: History) -> None:
    with _pair(history, on_snowflake) as (model, snowflake):
        differential.check_rebuilds(model, snowflake, history, told=content_of_equal_zeros)


@pytest.mark.slow(seconds=230)
@examples(3)
@given(history=histories(copies=False, additions=False))
def test_a_load_applied_again_leaves_snowflake_as_it_is(on_snowflake: Opening, history: History) -> None:
    with _pair(history, on_snowflake) as (model, snowflake):
        differential.check_loads_again(model, snowflake, history)


@pytest.mark.slow(seconds=230)
@examples(3)
@given(history=histories(copies=False, additions=False))
def test_snowflake_compares_equal_to_the_source_and_to_nothing_else(on_snowflake: Opening, history: History) -> None:
    with _pair(history, on_snowflake) as (model, snowflake):
        differential.check_comparing(model, snowflake, history)


@contextmanager
def _pair(history: History, opening: Opening) -> Iterator[tuple[Driver, Driver]]:
    with ExitStack() as stack:
        warehouses = [
            stack.enter_context(closing(adapters.warehouses.memory.build("oracle", {}))),
            stack.enter_context(opening()),
        ]
        drivers = [Driver(warehouse, history.schema) for warehouse in warehouses]
        for driver in drivers:
            driver.begin()
        yield drivers[0], drivers[1]
