"""An API's lists into DuckDB: first copy, changes, deletes, refusals, quarantine, crashes."""

from __future__ import annotations

from typing import Any

import pytest

from pipeline.domain.errors import SourceRejected
from tests.support.faults import Died, Fault, FaultyWarehouse
from tests.support.rest_server import Api, Reply, offset, paged, since, whole
from tests.support.rest_world import RestWorld

pytestmark = pytest.mark.integration

PAGED: dict[str, object] = {"record": "data", "paginate": {"kind": "page"}}


def orders(count: int) -> list[dict[str, Any]]:
    return [{"id": number, "status": "new", "amount": number + 0.5} for number in range(1, count + 1)]


def shown(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [row | {"unlisted": None} for row in rows]


def test_the_first_run_copies_all_pages_and_the_second_loads_nothing(api: Api, world: RestWorld) -> None:
    rows = orders(35)
    api.endpoints["/orders"] = paged(rows)
    world.read = PAGED
    world.run()
    first = world.checkpoint()
    assert world.rows() == shown(rows)
    result = world.run()
    assert (world.loaded(result), world.rows()) == (0, shown(rows))
    assert world.checkpoint().load <= first.load + 1
    assert len(world.changelog()) == 35


def test_updates_inserts_and_deletes_are_found_by_comparing(api: Api, world: RestWorld) -> None:
    rows = orders(25)
    api.endpoints["/orders"] = paged(rows)
    world.read = PAGED
    world.run()
    rows[3]["status"] = "paid"
    del rows[10]
    rows.append({"id": 99, "status": "new", "amount": 1.0})
    world.run()
    assert world.rows() == shown(rows)
    assert sorted(world.changelog()[25:]) == [("delete", 11), ("insert", 99), ("update", 4)]


def test_when_too_many_rows_are_gone_nothing_changes_and_raising_the_share_helps(api: Api, world: RestWorld) -> None:
    rows = orders(20)
    api.endpoints["/orders"] = paged(rows)
    world.read = PAGED
    world.run()
    before = world.rows()
    del rows[5:]
    with pytest.raises(SourceRejected) as refused:
        world.run()
    assert refused.value.facts == {"case": "vanished", "vanished_count": 15, "known_count": 20}
    assert (world.rows(), len(world.changelog())) == (before, 20)
    world.read = {**PAGED, "max_vanished": 0.9}
    world.run()
    assert world.rows() == shown(rows)


def test_after_too_many_rows_are_gone_a_resync_helps_too(api: Api, world: RestWorld) -> None:
    rows = orders(20)
    api.endpoints["/orders"] = paged(rows)
    world.read = PAGED
    world.run()
    del rows[5:]
    with pytest.raises(SourceRejected):
        world.run()
    world.run(resync=["orders"])
    assert world.rows() == shown(rows)
    assert world.loaded(world.run()) == 0


def test_a_value_that_does_not_fit_sets_its_row_apart_and_no_other(api: Api, world: RestWorld) -> None:
    rows = orders(12)
    rows[4]["amount"] = "a lot"
    api.endpoints["/orders"] = paged(rows)
    world.read = {**PAGED, "columns": {"id": "int64", "status": "string", "amount": "double"}}
    world.run()
    assert world.rows() == [row for row in rows if row["id"] != 5]
    assert [row["key"] for row in world.quarantined()] == ['{"id":5}']
    rows[4]["amount"] = 4.0
    world.run()
    assert world.rows() == rows


def test_a_crash_between_two_loads_leaves_what_was_loaded_and_the_next_run_goes_on(api: Api, world: RestWorld) -> None:
    rows = orders(10)
    api.endpoints["/orders"] = whole(rows)
    world.run()
    rows += orders(60)[10:]
    rows[0]["status"] = "paid"
    with pytest.raises(Died):
        world.run(warehouse=FaultyWarehouse(world.warehouse, Fault.DIES_BEFORE_COMMIT))
    assert world.rows() == shown(orders(10))
    world.run()
    assert world.rows() == shown(rows)
    assert len(world.changelog()) == 10 + 51


def test_a_commit_whose_answer_was_lost_is_not_loaded_twice(api: Api, world: RestWorld) -> None:
    rows = orders(10)
    api.endpoints["/orders"] = whole(rows)
    world.run()
    rows[0]["status"] = "paid"
    with pytest.raises(Died):
        world.run(warehouse=FaultyWarehouse(world.warehouse, Fault.DIES_AFTER_COMMIT))
    world.run()
    assert (world.rows(), world.changelog()[10:]) == (shown(rows), [("update", 1)])


def test_a_server_with_smaller_pages_than_asked_for_is_read_to_its_end(api: Api, world: RestWorld) -> None:
    rows = orders(37)
    api.endpoints["/orders"] = offset(rows, most=5)
    paginate = {"kind": "offset", "size": 100, "size_parameter": "limit", "total": "count"}
    world.read = {"record": "items", "paginate": paginate}
    world.run()
    assert world.rows() == shown(rows)


def test_only_what_changed_since_the_cursor_is_asked_for_and_ties_are_loaded_once(api: Api, world: RestWorld) -> None:
    rows = [{"id": number, "updated_at": f"2026-01-01T00:00:{number:02}Z"} for number in range(1, 31)]
    api.endpoints["/orders"] = since(rows)
    cursor = {"column": "updated_at", "parameter": "since", "format": "iso_seconds", "overlap": 5.0}
    world.read = {**PAGED, "cursor": cursor, "unlisted": "ignore"}
    world.run()
    api.forget()
    assert world.loaded(world.run()) == 0
    assert api.paths()[-2:] == [
        "/orders?since=2026-01-01T00:00:25Z&page=1",
        "/orders?since=2026-01-01T00:00:25Z&page=2",
    ]
    rows.append({"id": 31, "updated_at": "2026-01-01T00:00:27Z"})  # committed late, with an early time
    rows[0]["updated_at"] = "2026-01-01T00:00:40Z"
    world.run()
    assert sorted(world.changelog()[30:]) == [("insert", 1), ("insert", 31)]
    assert [row["id"] for row in world.rows()] == list(range(1, 32))


def test_records_that_are_marked_as_deleted_are_deleted_once(api: Api, world: RestWorld) -> None:
    rows = [{"id": number, "updated_at": f"2026-01-01T00:00:{number:02}Z", "gone": False} for number in range(1, 11)]
    api.endpoints["/orders"] = since(rows)
    cursor = {"column": "updated_at", "parameter": "since", "overlap": 60.0}
    world.read = {**PAGED, "cursor": cursor, "deleted": {"column": "gone"}}
    world.run()
    rows[2] |= {"gone": True, "updated_at": "2026-01-01T00:00:11Z"}
    world.run()
    assert world.changelog()[10:] == [("delete", 3)]
    assert [row["id"] for row in world.rows()] == [1, 2, 4, 5, 6, 7, 8, 9, 10]
    assert world.loaded(world.run()) == 0
    rows[2] |= {"gone": False, "updated_at": "2026-01-01T00:00:12Z"}
    world.run()
    assert [row["id"] for row in world.rows()] == list(range(1, 11))


def test_deletes_beside_a_cursor_are_found_by_reading_all_keys(api: Api, world: RestWorld) -> None:
    rows = [{"id": number, "updated_at": f"2026-01-01T00:00:{number:02}Z"} for number in range(1, 11)]
    api.endpoints["/orders"] = since(rows)
    world.read = {**PAGED, "cursor": {"column": "updated_at", "parameter": "since"}, "deletes": "diff"}
    world.run()
    del rows[4]
    world.run()
    assert [row["id"] for row in world.rows()] == [1, 2, 3, 4, 6, 7, 8, 9, 10]
    assert world.loaded(world.run()) == 0


def test_children_are_read_for_each_parent_and_carry_its_key(api: Api, world: RestWorld) -> None:
    parents = [{"id": f"o/{number}"} for number in range(1, 13)]
    items = {parent["id"]: [{"sku": "a", "n": 1}, {"sku": "b", "n": 2}] for parent in parents}
    api.endpoints["/orders"] = paged(parents)
    api.endpoints["/orders/{}/items"] = lambda asked: Reply(items[asked.path.split("/")[2].replace("%2F", "/")])
    world.relation, world.name = "/orders/{orders.id}/items", "order_items"
    world.read = {
        "key": ["orders_id", "sku"],
        "parents": {"orders": {"record": "data", "paginate": {"kind": "page"}}},
        "paginate": {"kind": "none"},
    }
    world.run()
    wanted = sorted((parent, item["sku"]) for parent, kept in items.items() for item in kept)
    assert sorted((row["orders_id"], row["sku"]) for row in world.rows()) == wanted
    del items["o/3"][0]
    world.run()
    assert world.changelog()[24:] == [("delete", "a")]


def test_a_single_page_that_did_not_change_is_not_sent_again(api: Api, world: RestWorld) -> None:
    rows = orders(5)
    api.endpoints["/orders"] = whole(rows, etag=True)
    world.read = {"columns": {"id": "int64", "status": "string", "amount": "double"}}
    world.run()
    api.forget()
    assert world.loaded(world.run()) == 0
    # The first one of a run makes sure that the endpoint can be read at all.
    assert ["if-none-match" in asked.headers for asked in api.requests] == [False, True]
    rows[0]["status"] = "paid"
    world.run()
    assert world.changelog()[5:] == [("update", 1)]
    assert world.rows() == rows


def test_a_page_that_did_not_change_is_read_anew_once_it_is_read_in_another_way(api: Api, world: RestWorld) -> None:
    rows = orders(5)
    api.endpoints["/orders"] = whole(rows, etag=True)
    world.read = {"columns": {"id": "int64", "status": "string"}}
    world.run()
    world.read = {"columns": {"id": "int64", "status": "string", "amount": "double"}}
    world.run()
    assert world.rows() == rows


def test_guessed_columns_keep_their_types_whatever_later_pages_show_first(api: Api, world: RestWorld) -> None:
    rows: list[dict[str, Any]] = [{"id": 1, "price": 10.5}, {"id": 2, "price": 3}]
    api.endpoints["/orders"] = whole(rows)
    world.run()
    rows[0]["price"] = 10
    world.run()
    assert world.rows() == [{"id": 1, "price": 10.0, "unlisted": None}, {"id": 2, "price": 3.0, "unlisted": None}]


def test_a_member_that_comes_behind_the_sample_is_kept_and_becomes_a_column(api: Api, world: RestWorld) -> None:
    rows = orders(25)
    rows[22]["coupon"] = "SPRING"
    api.endpoints["/orders"] = paged(rows)
    world.read = {**PAGED, "sample": 10}
    with pytest.raises(Died):  # behind the copy
        world.run(warehouse=FaultyWarehouse(world.warehouse, Fault.DIES_AFTER_COMMIT))
    assert world.rows()[22]["unlisted"] == '{"coupon":"SPRING"}'
    world.run()
    assert (world.rows()[22]["coupon"], world.rows()[22]["unlisted"]) == ("SPRING", None)
    assert world.changelog()[25:] == [("update", 23)]
    assert world.loaded(world.run()) == 0


def test_a_list_that_is_replaced_whole_needs_no_comparing(api: Api, world: RestWorld) -> None:
    rows: dict[str, float] = {"EUR": 1.08, "CHF": 1.1}
    api.endpoints["/orders"] = lambda _asked: Reply({"rates": rows})
    world.read = {"record": "rates", "shape": "map", "key": "name", "deletes": "replace", "unlisted": "ignore"}
    world.run()
    del rows["CHF"]
    rows["EUR"] = 1.09
    world.run()
    assert world.rows() == [{"name": "EUR", "value": 1.09}]
