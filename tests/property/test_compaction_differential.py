"""Compacted states lead to the same staging tables as replaying every change in order does (P3, P5)."""

from __future__ import annotations

from hypothesis import given

from adapters.warehouses.memory import build
from pipeline.domain.stream import Mode
from tests.support.driver import Driver, source_table
from tests.support.generator import History, histories
from tests.support.profiles import examples
from tests.support.state_warehouse import StateWarehouse
from tests.support.tables import content, content_of_equal_zeros

_KEYED = (Mode.MIRROR, Mode.SOFT_DELETE, Mode.HISTORY)


@examples(60)
@given(histories())
def test_the_current_rows_are_those_of_the_source_table_after_every_load(history: History) -> None:
    driver = Driver(build("oracle", {}), history.schema)
    driver.begin()
    for load in history.loads:
        driver.play(load)
        for mode in (Mode.MIRROR, Mode.SOFT_DELETE):
            assert content(driver.warehouse.current(driver.target(mode))) == content(source_table(load))
        current = driver.warehouse.current(driver.target(Mode.HISTORY))
        assert content_of_equal_zeros(current) == content_of_equal_zeros(source_table(load))


@examples(60)
@given(histories())
def test_states_and_replayed_changes_make_the_same_tables(history: History) -> None:
    replayed, compacted = Driver(build("oracle", {}), history.schema), Driver(StateWarehouse(), history.schema)
    for driver in (replayed, compacted):
        driver.begin()
    for load in history.loads:
        for driver in (replayed, compacted):
            driver.play(load)
        for mode in _KEYED:
            assert content(compacted.warehouse.rows(compacted.target(mode))) == content(
                replayed.warehouse.rows(replayed.target(mode))
            )


@examples(20)
@given(histories())
def test_counts_of_every_load_balance(history: History) -> None:
    driver = Driver(build("oracle", {}), history.schema)
    driver.begin()
    for load in history.loads:
        driver.play(load)
        (audit,) = driver.warehouse.audit("shop", limit=1)
        assert all(counts.is_balanced for counts in audit["counts"].values())
