"""What a warehouse and the row-by-row model have to agree on, whatever is loaded; histories come from ``generator``."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pyarrow as pa
from hypothesis import note

from pipeline.domain.stream import Mode
from tests.support.driver import Driver, source_table
from tests.support.generator import History
from tests.support.tables import content
from tests.support.told import change_table

#: Rows as plain values.
Told = Callable[[pa.Table], object]


def check_loads(model: Driver, other: Driver, history: History, *, told: Told = content) -> None:
    """After each load of a history all tables are the same."""
    for number, load in enumerate(history.loads):
        note(f"load {number}")
        model.play(load)
        other.play(load)
        _assert_same(model, other, told)


def check_rebuilds(model: Driver, other: Driver, history: History, *, told: Told = content) -> None:
    """A table rebuilt in another mode is the one that loads in that mode made."""
    for load in history.loads:
        model.play(load)
        other.play(load)
    direct = {mode: told(model.warehouse.rows(model.target(mode))) for mode in Mode}
    for before, after in _mode_changes():
        note(f"{before.value} rebuilt as {after.value}")
        for driver in (model, other):
            rebuilt = driver.target(before, built_as=after)
            driver.checkpoint = driver.warehouse.rebuild(driver.checkpoint, rebuilt)
            assert told(driver.warehouse.rows(rebuilt)) == direct[after]


def check_loads_again(model: Driver, other: Driver, history: History) -> None:
    """A load applied again changes no staging table."""
    for load in history.loads:
        tables = [change_table(load.schema, piece) for piece in load.pieces]
        for driver in (model, other):
            driver.play(load)
            before = _staging(driver)
            driver.load(tables)
            assert _staging(driver) == before


def check_comparing(model: Driver, other: Driver, history: History) -> None:
    """Comparing finds the same differences, and none from the source's rows."""
    for load in history.loads:
        model.play(load)
        other.play(load)
    earlier, last = source_table(history.loads[0]), source_table(history.loads[-1])
    for mode in (Mode.MIRROR, Mode.SOFT_DELETE, Mode.HISTORY):
        target = model.target(mode)
        for rows in (earlier, last):
            expected = model.warehouse.compare(target, [rows], sample=100)
            found = other.warehouse.compare(target, [rows], sample=100)
            assert {**_counts(found), "keys": sorted(found.keys)} == {
                **_counts(expected),
                "keys": sorted(expected.keys),
            }
            assert [content(part) for part in other.warehouse.differences(target, [rows])] == [
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


def _assert_same(model: Driver, other: Driver, told: Told) -> None:
    for mode in Mode:
        target = model.target(mode)
        note(mode.value)
        assert told(other.warehouse.changelog(target)) == told(model.warehouse.changelog(target))
        assert told(other.warehouse.rows(target)) == told(model.warehouse.rows(target))
        assert told(other.warehouse.current(target)) == told(model.warehouse.current(target))
