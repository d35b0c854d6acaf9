"""Steps that look at the staging table, in each of its modes."""

from __future__ import annotations

from decimal import Decimal

from pytest_bdd import parsers, then

from pipeline.domain.events import CopyFinished
from tests.support.steps.ground import Memo, shown, source_rows, table, text
from tests.support.world import World


@then("the staging table shows")
@then("the staging table still shows")
def staging_shows(world: World, datatable: list[list[str]]) -> None:
    assert shown(world) == sorted(tuple(row.values()) for row in table(datatable))


@then("the staging table equals the source table")
def staging_equals_source(world: World) -> None:
    assert shown(world) == source_rows(world)


@then("all rows of the staging table are")
def all_rows(world: World, datatable: list[list[str]]) -> None:
    rows = sorted(
        (text(row["id"]), text(row["status"]), text(row["amount"]), "yes" if row["_cdc_deleted"] else "no")
        for row in world.all_rows("orders")
    )
    assert rows == [tuple(row.values()) for row in table(datatable)]


@then("the versions in the staging table are")
def versions(world: World, datatable: list[list[str]]) -> None:
    rows = sorted(world.all_rows("orders"), key=lambda row: (row["id"], row["_cdc_valid_from"]))
    found = [(text(row["id"]), text(row["status"]), "yes" if row["_cdc_current"] else "no") for row in rows]
    assert found == [tuple(row.values()) for row in table(datatable)]


@then("the intervals of a key never overlap")
def no_overlap(world: World) -> None:
    ends: dict[int, Decimal] = {}
    for row in sorted(world.all_rows("orders"), key=lambda row: (row["id"], row["_cdc_valid_from"])):
        assert row["_cdc_valid_from"] >= ends.get(row["id"], Decimal(0))
        assert row["_cdc_valid_to"] is None or row["_cdc_valid_to"] > row["_cdc_valid_from"]
        ends[row["id"]] = row["_cdc_valid_to"] or Decimal("Infinity")


@then("the staging table has the changes")
def changes_are(world: World, datatable: list[list[str]]) -> None:
    rows = sorted(world.all_rows("orders"), key=lambda row: row["_cdc_sequence"])
    assert [(row["_cdc_op"], text(row["id"])) for row in rows] == [tuple(row.values()) for row in table(datatable)]


@then(parsers.parse("the staging table is as if its mode had always been {mode}"))
def as_if_always(world: World, mode: str) -> None:
    columns = ("id", "status", "amount", "_cdc_op", "_cdc_deleted", "_cdc_current", "_cdc_sequence", "_cdc_valid_to")
    found = sorted(str([row[name] for name in columns]) for row in world.all_rows("orders"))
    log = world.changelog("orders")
    sequence = {(row["_cdc_op"], row["id"]): row["_cdc_sequence"] for row in log}
    first, second = sequence["snapshot", 1], sequence["snapshot", 2]
    paid, gone = sequence["update", 1], sequence["delete", 2]
    ten, twenty = Decimal("10.00"), Decimal("20.00")
    expected = {
        "soft_delete": [
            [1, "paid", ten, "update", False, True, paid, None],
            [2, "new", twenty, "delete", True, True, gone, None],
        ],
        "history": [
            [1, "new", ten, "snapshot", False, False, first, paid],
            [1, "paid", ten, "update", False, True, paid, None],
            [2, "new", twenty, "snapshot", False, False, second, gone],
        ],
        "append": [
            [1, "new", ten, "snapshot", False, True, first, None],
            [2, "new", twenty, "snapshot", False, True, second, None],
            [1, "paid", ten, "update", False, True, paid, None],
            [2, None, None, "delete", True, True, gone, None],
        ],
    }[mode]
    assert found == sorted(str(row) for row in expected)


@then("the source table was not read again")
def not_read_again(world: World, memo: Memo) -> None:
    assert len(world.recorder.of(CopyFinished)) == memo.copies
