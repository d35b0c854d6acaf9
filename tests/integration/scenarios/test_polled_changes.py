"""Systems without a log whose columns change, and runs that end where they should not (D, G)."""

from __future__ import annotations

import random

import pytest

from pipeline.application.loader import GroupLoader
from pipeline.domain.contract import Contract, OnSchemaChange
from pipeline.domain.errors import Fenced
from pipeline.domain.stream import BatchLimits, Mode
from tests.support.faults import Died, Fault, FaultyWarehouse
from tests.support.polled_systems import Row
from tests.support.polled_world import PolledWorld


def rows(count: int, **more: object) -> list[Row]:
    return [{"id": number, "note": f"row {number}", "amount": number * 0.5, **more} for number in range(1, count + 1)]


def test_columns_come_and_go(polled: PolledWorld) -> None:
    """D1, D4, D7, D9, D11."""
    system = polled.system
    system.declares = False
    system.put(*rows(5))
    polled.run()
    system.columns |= {"select": "text", "é": "text", "É": "text", "_cdc_op": "text"}
    system.put(*rows(6, **{"select": "x", "é": "small", "É": "large", "_cdc_op": "theirs"}))
    polled.run()
    named = polled.warehouse.states(polled.group)["orders"].schema
    names = {column.source_name: column.name for column in named.columns}
    assert len({name.casefold() for name in names.values()}) == len(names)
    chosen = ("id", "note", names["select"], names["é"], names["É"], names["_cdc_op"])
    assert polled.staged(*chosen) == polled.shown("id", "note", "select", "é", "É", "_cdc_op")
    polled.contract = Contract(on_schema_change=OnSchemaChange.DISCARD)
    del system.columns["select"]
    system.columns |= {"late": "text"}
    system.put(*rows(7, É="newer", _cdc_op="theirs", late="left out"))
    polled.run()
    assert [row[:2] for row in polled.staged(*chosen)] == polled.shown("id", "note")
    assert {row[4] for row in polled.staged(*chosen)} == {"newer"}
    assert "late" not in polled.warehouse.current(polled.target()).column_names


def test_a_type_that_becomes_wider_or_another_loses_no_value(polled: PolledWorld) -> None:
    """D6."""
    polled.system.columns = {"id": "int64", "amount": "int64"}
    polled.system.put(*({"id": number, "amount": number} for number in range(1, 6)))
    polled.run()
    polled.system.columns = {"id": "int64", "amount": "text"}
    polled.system.put(*({"id": number, "amount": f"{number} pieces"} for number in range(1, 7)))
    polled.run()
    present = [column for column in polled.target().schema.columns if not column.dropped and column.name != "id"]
    [name] = [column.name for column in present if column.source_name == "amount"]
    assert polled.staged("id", name) == polled.shown()
    assert polled.verify().is_equal


def test_a_load_that_ends_anywhere_is_loaded_once(polled: PolledWorld) -> None:
    """G1, G2, G3, G9."""
    polled.system.put(*rows(30))
    polled.run()
    stale = polled.checkpoint()
    faults = (Fault.DIES_BEFORE_COMMIT, Fault.ANSWER_LOST)
    for number, fault in enumerate(faults):
        polled.system.put({"id": number + 1, "note": fault.value, "amount": 1.0})
        try:
            polled.run(warehouse=FaultyWarehouse(polled.warehouse, fault))
        except Died:
            polled.run()
        assert polled.staged() == polled.shown()
    assert [(row["id"], row["_cdc_op"]) for row in polled.changelog()[30:]] == [
        (number + 1, "update") for number in range(len(faults))
    ]
    before = polled.warehouse.audit(polled.group)
    assert polled.loaded() == 0
    assert polled.warehouse.audit(polled.group) == before
    late = stale.next(polled.checkpoint().position, at=stale.at)
    with pytest.raises(Fenced), polled.warehouse.load(stale, late):
        pass


@pytest.mark.parametrize("mode", [Mode.MIRROR, Mode.HISTORY])
def test_the_last_batches_loaded_again_in_any_order_change_nothing(polled: PolledWorld, mode: Mode) -> None:
    """G4."""
    polled.mode, polled.limits = mode, BatchLimits(rows=10)
    polled.system.put(*rows(45))
    polled.run()
    batches = []
    for number in range(1, 4):
        polled.system.remove(number + 10, number + 20)
        polled.system.put(*rows(45 + number * 15)[30:], {"id": 1, "note": f"change {number}", "amount": 1.0})
        found = polled.batches()
        loader = GroupLoader(polled.session(), polled.checkpoint(), polled.warehouse.states(polled.group))
        for batch in found:
            loader.load(batch)
        batches += [batch for batch in found if not batch.is_empty]
    assert polled.staged() == polled.shown()
    before = polled.everything()
    chance = random.Random(mode.value)
    for _ in range(2):
        loader = GroupLoader(polled.session(), polled.checkpoint(), polled.warehouse.states(polled.group))
        for batch in chance.sample(batches, len(batches)):
            event = loader.load(batch)
            assert sum(counts.covered_count for counts in event.counts.values()) == batch.row_count
    assert polled.everything() == before
    assert polled.loaded() == 0


#: Not all of them: each process costs seconds.
IN_PROCESSES = pytest.mark.parametrize(
    ("system", "warehouse_kind"),
    [
        ("sqlite", "duckdb"),
        ("postgresql", "duckdb"),
        ("rest", "duckdb"),
        ("files", "duckdb"),
        ("rest", "snowflake"),
        ("postgresql", "snowflake"),
    ],
    indirect=True,
)


@IN_PROCESSES
def test_a_process_that_is_told_to_end_finishes_or_leaves_what_it_does(polled: PolledWorld) -> None:
    """G7."""
    polled.limits = BatchLimits(rows=10)
    polled.system.put(*rows(45))
    polled.terminate("copy")
    assert not polled.is_copied()
    polled.run()
    polled.system.remove(3, 4)
    polled.system.put({"id": 1, "note": "changed", "amount": 1.0}, *rows(75)[45:])
    before = polled.checkpoint()
    polled.terminate("apply")
    loaded = len(polled.changelog())
    assert loaded > 45, "what was begun is finished"
    assert polled.checkpoint().load == before.load + 1, "and nothing else was begun"
    polled.run()
    assert polled.staged() == polled.shown()
    told = sorted((row["id"], row["_cdc_op"]) for row in polled.changelog()[45:])
    assert told == [(1, "update"), (3, "delete"), (4, "delete"), *((number, "insert") for number in range(46, 76))]


@IN_PROCESSES
def test_a_process_that_is_killed_is_gone_on_from(polled: PolledWorld) -> None:
    """G1."""
    polled.system.put(*rows(30))
    polled.kill("copy")
    polled.run()
    polled.system.remove(3, 4)
    polled.system.put({"id": 31, "note": "new", "amount": 1.0}, {"id": 1, "note": "changed", "amount": 1.0})
    polled.kill("after commit")
    assert polled.loaded() == 0
    assert polled.staged() == polled.shown()
    told = [(row["id"], row["_cdc_op"]) for row in polled.changelog()[30:]]
    assert sorted(told) == [(1, "update"), (3, "delete"), (4, "delete"), (31, "insert")]
