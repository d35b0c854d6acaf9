"""DuckDB and the row-by-row model hold the same tables after the same loads, in every mode (P4, P5, P6)."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

from hypothesis import given, note

import adapters.warehouses.duckdb
import adapters.warehouses.memory
from pipeline.domain.stream import Mode
from pipeline.ports.warehouse import Warehouse
from tests.support.driver import Driver, source_table
from tests.support.generator import History, histories
from tests.support.profiles import examples
from tests.support.tables import content
from tests.support.told import change_table


@examples(8)
@given(histories())
def test_the_same_loads_make_the_same_tables(history: History) -> None:
    with _pair(history) as (model, duckdb):
        for number, load in enumerate(history.loads):
            note(f"load {number}")
            model.play(load)
            duckdb.play(load)
            _assert_same(model, duckdb)


@examples(4)
@given(histories())
def test_a_rebuild_in_another_mode_makes_what_direct_loads_made(history: History) -> None:
    with _pair(history) as (model, duckdb):
        for load in history.loads:
            model.play(load)
            duckdb.play(load)
        direct = {mode: content(model.warehouse.rows(model.target(mode))) for mode in Mode}
        for before, after in _mode_changes():
            note(f"{before.value} rebuilt as {after.value}")
            for driver in (model, duckdb):
                rebuilt = driver.target(before, built_as=after)
                driver.warehouse.rebuild("shop", rebuilt)
                assert content(driver.warehouse.rows(rebuilt)) == direct[after]


@examples(4)
@given(histories(copies=False, additions=False))
def test_a_load_applied_again_leaves_the_staging_tables_as_they_are(history: History) -> None:
    with _pair(history) as (model, duckdb):
        for load in history.loads:
            tables = [change_table(load.schema, piece) for piece in load.pieces]
            for driver in (model, duckdb):
                driver.play(load)
                before = _staging(driver)
                driver.load(tables)
                assert _staging(driver) == before


@examples(4)
@given(histories(copies=False, additions=False))
def test_rows_compare_equal_to_the_source_and_to_nothing_else(history: History) -> None:
    with _pair(history) as (model, duckdb):
        for load in history.loads:
            model.play(load)
            duckdb.play(load)
        earlier, last = source_table(history.loads[0]), source_table(history.loads[-1])
        for mode in (Mode.MIRROR, Mode.SOFT_DELETE, Mode.HISTORY):
            target = model.target(mode)
            for rows in (earlier, last):
                expected = model.warehouse.compare(target, [rows], sample=100)
                found = duckdb.warehouse.compare(target, [rows], sample=100)
                assert {**_counts(found), "keys": sorted(found.keys)} == {
                    **_counts(expected),
                    "keys": sorted(expected.keys),
                }
                assert [content(part) for part in duckdb.warehouse.differences(target, [rows])] == [
                    content(part) for part in model.warehouse.differences(target, [rows])
                ]
            assert expected.is_equal


def _counts(comparison: object) -> dict[str, object]:
    names = ("compared_count", "missing_count", "extra_count", "changed_count")
    return {name: getattr(comparison, name) for name in names}


def _mode_changes() -> Iterator[tuple[Mode, Mode]]:
    """Every table once: each mode is left for the one after it."""
    modes = list(Mode)
    return zip(modes, [*modes[1:], modes[0]], strict=True)


def _staging(driver: Driver) -> dict[Mode, object]:
    modes = (Mode.MIRROR, Mode.SOFT_DELETE, Mode.HISTORY)
    return {mode: content(driver.warehouse.rows(driver.target(mode))) for mode in modes}


def _assert_same(model: Driver, other: Driver) -> None:
    for mode in Mode:
        target = model.target(mode)
        note(mode.value)
        assert content(other.warehouse.changelog(target)) == content(model.warehouse.changelog(target))
        assert content(other.warehouse.rows(target)) == content(model.warehouse.rows(target))
        assert content(other.warehouse.current(target)) == content(model.warehouse.current(target))


@contextmanager
def _pair(history: History) -> Iterator[tuple[Driver, Driver]]:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        warehouses: list[Warehouse] = [
            adapters.warehouses.memory.build("oracle", {}),
            adapters.warehouses.duckdb.build("duckdb", {"path": str(folder / "shop.duckdb")}),
        ]
        drivers = [Driver(stack.enter_context(closing(warehouse)), history.schema) for warehouse in warehouses]
        for driver in drivers:
            driver.begin()
        yield drivers[0], drivers[1]
