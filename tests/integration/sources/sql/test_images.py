"""Whole pipelines over tables without a cursor: rows told apart by hashes, keys made of rows, and whole refreshes."""

from __future__ import annotations

import threading

import pytest

from pipeline.domain.errors import SourceRejected
from pipeline.domain.stream import BatchLimits, Mode
from pipeline.ports.warehouse import target_of
from tests.support.sql_world import STREAM, SqlWorld

TABLE = "CREATE TABLE orders (id integer PRIMARY KEY, note text)"
ROWS = "INSERT INTO orders VALUES (1, 'a'), (2, 'b'), (3, 'c'), (4, 'd')"


def image(world: SqlWorld, **read: object) -> SqlWorld:
    world.read = read
    world.origin.sql(TABLE, ROWS)
    world.run()
    return world


def in_source(world: SqlWorld, columns: str = "id, note") -> list[tuple[object, ...]]:
    return sorted(world.origin.rows(f"SELECT {columns} FROM orders"), key=repr)


def test_only_what_is_new_changed_or_gone_is_loaded(world: SqlWorld) -> None:
    image(world)
    assert world.loaded(world.run()) == 0

    world.origin.sql(
        "UPDATE orders SET note = 'B' WHERE id = 2",
        "DELETE FROM orders WHERE id = 1",
        "INSERT INTO orders VALUES (5, 'e')",
    )

    assert world.loaded(world.run()) == 3
    assert world.staged("id", "note") == in_source(world)
    assert sorted(row["_cdc_op"] for row in world.changelog()[4:]) == ["delete", "insert", "update"]
    assert world.verify().is_equal


def test_too_many_rows_gone_are_refused_and_nothing_is_deleted(world: SqlWorld) -> None:
    image(world)
    world.origin.sql("DELETE FROM orders WHERE id < 4")

    with pytest.raises(SourceRejected) as refused:
        world.run()

    assert (refused.value.facts["vanished_count"], refused.value.facts["known_count"]) == (3, 4)
    assert world.staged("id") == [(1,), (2,), (3,), (4,)]
    world.read["max_vanished"] = 1
    assert world.loaded(world.run()) == 3
    assert world.staged("id", "note") == in_source(world)


def test_rows_that_are_alike_are_kept_apart_without_any_key(world: SqlWorld) -> None:
    """A12."""
    world.origin.sql(
        "CREATE TABLE orders (a integer, b text)",
        "INSERT INTO orders VALUES (1, 'x'), (1, 'x'), (1, 'x'), (NULL, 'y'), (NULL, 'y'), (2, NULL)",
    )
    world.run()
    assert world.staged("a", "b") == in_source(world, "a, b")
    assert world.loaded(world.run()) == 0

    world.origin.sql("DELETE FROM orders WHERE a = 2", "INSERT INTO orders VALUES (1, 'x'), (NULL, 'y')")

    assert world.loaded(world.run()) == 3
    assert world.staged("a", "b") == in_source(world, "a, b")
    assert world.verify().is_equal


def test_a_column_added_to_a_table_without_a_key_replaces_its_rows_at_once(world: SqlWorld) -> None:
    world.origin.sql(
        "CREATE TABLE orders (a integer, b text)", "INSERT INTO orders VALUES (1, 'x'), (1, 'x'), (2, 'y')"
    )
    world.run()
    world.origin.sql("ALTER TABLE orders ADD COLUMN c integer DEFAULT 5")

    world.run()

    assert world.staged("a", "b", "c") == [(1, "x", 5), (1, "x", 5), (2, "y", 5)]
    assert world.loaded(world.run()) == 0
    world.origin.sql("DELETE FROM orders WHERE a = 2")
    assert world.loaded(world.run()) == 1
    assert world.staged("a", "b", "c") == in_source(world, "a, b, c")


def test_another_way_of_detecting_changes_can_be_chosen_later(world: SqlWorld) -> None:
    world.origin.sql(
        "CREATE TABLE orders (id integer PRIMARY KEY, note text, updated_at timestamp)",
        "INSERT INTO orders VALUES (1, 'a', '2026-01-01 10:00:00'), (2, 'b', '2026-01-01 10:00:00')",
    )
    for read in ({"cursor": "updated_at"}, {"detect": "hash"}, {"detect": "refresh"}, {"cursor": "updated_at"}, {}):
        world.read = dict(read)
        world.run()
        world.origin.sql("DELETE FROM orders WHERE id = 1", "UPDATE orders SET updated_at = '2026-01-01 10:30:00'")
        world.run()
        world.origin.sql("INSERT INTO orders VALUES (1, 'again', '2026-01-01 11:00:00')")
        world.run()
        assert world.staged("id", "note") == in_source(world), read
        assert world.loaded(world.run()) == 0, read


def test_a_refresh_loads_all_rows_at_once_and_only_if_any_of_them_changed(world: SqlWorld) -> None:
    world.limits = BatchLimits(rows=10, spill_bytes=2_000)
    world.read = {"detect": "refresh"}
    numbers = ", ".join(f"({number}, 'n')" for number in range(100))
    world.origin.sql(TABLE, f"INSERT INTO orders VALUES {numbers}")
    world.run()
    assert world.run().batch_count == 0

    world.origin.sql("UPDATE orders SET note = 'changed' WHERE id = 50", "DELETE FROM orders WHERE id < 40")
    result = world.run()

    assert result.batch_count == 1
    assert world.loaded(result) == 61  # TRUNCATE, and sixty rows
    assert world.staged("id", "note") == in_source(world)
    assert world.run().batch_count == 0


def test_a_refresh_of_a_table_that_is_empty_now_empties_its_copy(world: SqlWorld) -> None:
    """G9."""
    image(world, detect="refresh")
    world.origin.sql("DELETE FROM orders")

    world.run()

    assert world.staged("id", "note") == []
    assert world.run().batch_count == 0


def test_no_reader_sees_half_of_a_refresh(world: SqlWorld) -> None:
    world.limits = BatchLimits(rows=50)
    world.read = {"detect": "refresh"}
    numbers = ", ".join(f"({number}, '0')" for number in range(2_000))
    world.origin.sql(TABLE, f"INSERT INTO orders VALUES {numbers}")
    world.run()
    seen: set[tuple[int, int]] = set()
    done = threading.Event()

    def watch() -> None:
        target = target_of(world.warehouse.states(world.spec.table)[STREAM])
        while not done.is_set():
            notes = world.warehouse.current(target)["note"].to_pylist()
            seen.add((len(notes), len(set(notes))))

    watcher = threading.Thread(target=watch)
    watcher.start()
    for number in range(1, 4):
        world.origin.sql(f"UPDATE orders SET note = '{number}'")
        world.run()
    done.set()
    watcher.join()

    assert seen == {(2_000, 1)}


def test_a_query_of_ones_own_is_read_like_a_table(world: SqlWorld) -> None:
    world.origin.sql(TABLE, ROWS)
    world.read = {"query": "SELECT id, note FROM orders WHERE id > 1 -- the first is a test;", "key": "id"}
    world.run()
    assert world.staged("id", "note") == [(2, "b"), (3, "c"), (4, "d")]

    world.origin.sql("DELETE FROM orders WHERE id = 2", "UPDATE orders SET note = 'C' WHERE id = 3")

    assert world.loaded(world.run()) == 2
    assert world.staged("id", "note") == [(3, "C"), (4, "d")]


def test_a_view_is_read_by_the_key_that_is_named(world: SqlWorld) -> None:
    world.origin.sql(TABLE, ROWS, "CREATE VIEW big AS SELECT id, note FROM orders WHERE id > 2")
    world.relation, world.read = "big", {"key": ["id"]}
    world.run()
    world.origin.sql("DELETE FROM orders WHERE id = 4")

    assert world.loaded(world.run()) == 1
    assert world.staged("id", "note") == [(3, "c")]


def test_append_keeps_every_change_that_was_seen(world: SqlWorld) -> None:
    world.mode = Mode.APPEND
    image(world)
    world.origin.sql("UPDATE orders SET note = 'B' WHERE id = 2")
    world.run()
    world.run()

    assert [(row["id"], row["note"]) for row in world.changelog()] == [
        (1, "a"), (2, "b"), (3, "c"), (4, "d"), (2, "B"),
    ]  # fmt: skip


def test_a_key_that_is_not_unique_is_refused_before_anything_is_taken_for_gone(world: SqlWorld) -> None:
    world.origin.sql("CREATE TABLE orders (id integer, note text)", "INSERT INTO orders VALUES (1, 'a'), (1, 'b')")
    world.read = {"key": "id"}
    from pipeline.domain.errors import SourceError

    with pytest.raises(SourceError) as refused:
        world.run()
    assert refused.value.facts["case"] == "repeated"
