"""Whole pipelines over a cursor: from a SQL database into DuckDB, look after look."""

from __future__ import annotations

import pytest

from pipeline.domain.errors import SourceRejected
from pipeline.domain.stream import BatchLimits, Mode
from tests.support.sql_world import STREAM, SqlWorld

TABLE = "CREATE TABLE orders (id integer PRIMARY KEY, note text, updated_at timestamp)"
ROWS = "INSERT INTO orders VALUES (1, 'a', '2026-01-01 10:00:00'), (2, 'b', '2026-01-01 10:00:00')"


def followed(world: SqlWorld, **read: object) -> SqlWorld:
    world.read = {"cursor": "updated_at", **read}
    world.origin.sql(TABLE, ROWS)
    world.run()
    return world


def in_source(world: SqlWorld) -> list[tuple[int, str]]:
    return sorted(world.origin.rows("SELECT id, note FROM orders"), key=repr)


def test_the_first_run_copies_and_the_next_loads_nothing(world: SqlWorld) -> None:
    followed(world)
    assert world.staged("id", "note") == in_source(world)

    again = world.run()

    assert world.loaded(again) == 0
    assert again.batch_count == 0


def test_rows_that_are_new_or_changed_are_loaded_and_no_others(world: SqlWorld) -> None:
    followed(world)
    world.origin.sql(
        "UPDATE orders SET note = 'B', updated_at = '2026-01-01 10:05:00' WHERE id = 2",
        "INSERT INTO orders VALUES (3, 'c', '2026-01-01 10:05:00')",
    )

    assert world.loaded(world.run()) == 2
    assert world.staged("id", "note") == in_source(world)
    assert world.loaded(world.run()) == 0


def test_ties_at_the_end_of_a_batch_are_neither_split_nor_lost(world: SqlWorld) -> None:
    world.limits = BatchLimits(rows=10)
    followed(world, overlap=0)
    numbers = ", ".join(f"({number}, 'n', '2026-01-02 10:00:00')" for number in range(10, 200))
    world.origin.sql(f"INSERT INTO orders VALUES {numbers}")

    assert world.loaded(world.run()) == 190

    world.origin.sql("INSERT INTO orders VALUES (300, 'tie', '2026-01-02 10:00:00')")
    assert world.loaded(world.run()) == 1
    assert world.staged("id", "note") == in_source(world)


def test_a_row_that_took_its_time_early_and_was_committed_late_is_found(world: SqlWorld) -> None:
    """I1."""
    followed(world, overlap=600)
    with world.origin.open_transaction("INSERT INTO orders VALUES (3, 'late', '2026-01-01 10:01:00')"):
        world.origin.sql("INSERT INTO orders VALUES (4, 'early', '2026-01-01 10:09:00')")
        assert world.loaded(world.run()) == 1

    assert world.loaded(world.run()) == 1
    assert world.staged("id", "note") == in_source(world)
    assert world.loaded(world.run()) == 0


def test_rows_without_a_cursor_are_read_by_every_look_and_loaded_when_they_change(world: SqlWorld) -> None:
    followed(world)
    world.origin.sql("INSERT INTO orders VALUES (3, 'null', NULL)")
    assert world.loaded(world.run()) == 1
    assert world.loaded(world.run()) == 0

    world.origin.sql("UPDATE orders SET note = 'still null' WHERE id = 3")

    assert world.loaded(world.run()) == 1
    assert world.staged("id", "note") == in_source(world)
    assert world.loaded(world.run()) == 0


def test_a_time_in_the_far_future_hides_nothing(world: SqlWorld) -> None:
    followed(world)
    world.origin.sql("INSERT INTO orders VALUES (3, 'future', '9999-01-01 00:00:00')")
    assert world.loaded(world.run()) == 1

    world.origin.sql("INSERT INTO orders VALUES (4, 'now', CURRENT_TIMESTAMP)")

    assert world.loaded(world.run()) == 1
    assert world.staged("id", "note") == in_source(world)
    assert world.loaded(world.run()) == 0


def test_rows_that_are_younger_than_the_lag_wait_for_a_later_look(world: SqlWorld) -> None:
    followed(world, lag_s=3600)
    world.origin.sql("INSERT INTO orders VALUES (3, 'young', CURRENT_TIMESTAMP)")
    assert world.loaded(world.run()) == 0

    world.origin.sql("UPDATE orders SET updated_at = '2026-01-01 11:00:00' WHERE id = 3")

    assert world.loaded(world.run()) == 1


def test_a_database_that_was_restored_to_an_older_state_is_read_from_the_beginning(world: SqlWorld) -> None:
    followed(world, overlap=0)
    world.origin.sql("INSERT INTO orders VALUES (3, 'lost', '2026-03-01 00:00:00')")
    world.run()
    world.origin.sql(
        "DELETE FROM orders WHERE id = 3", "INSERT INTO orders VALUES (4, 'restored', '2026-02-01 00:00:00')"
    )

    world.run()

    assert (4, "restored") in world.staged("id", "note")
    assert world.loaded(world.run()) == 0


def test_a_deleted_row_is_found_by_comparing_keys(world: SqlWorld) -> None:
    """I2."""
    followed(world, deletes="diff")
    world.origin.sql("DELETE FROM orders WHERE id = 1")

    assert world.loaded(world.run()) == 1
    assert world.staged("id", "note") == [(2, "b")]
    assert [row["_cdc_op"] for row in world.changelog()] == ["snapshot", "snapshot", "delete"]
    assert world.loaded(world.run()) == 0


def test_keys_are_compared_no_more_often_than_asked_and_known_meanwhile(world: SqlWorld) -> None:
    followed(world, deletes="diff", every_s=3600)
    world.origin.sql("DELETE FROM orders WHERE id = 1", "INSERT INTO orders VALUES (3, 'c', '2026-01-01 10:05:00')")
    assert world.loaded(world.run()) == 1
    assert world.staged("id") == [(1,), (2,), (3,)]

    world.read["every_s"] = 0

    assert world.loaded(world.run()) == 1
    assert world.staged("id", "note") == in_source(world)


def test_too_many_rows_gone_at_once_are_refused_and_the_hint_helps(world: SqlWorld) -> None:
    followed(world, deletes="diff", max_vanished=0.4)
    world.origin.sql("DELETE FROM orders WHERE id = 1")

    with pytest.raises(SourceRejected) as refused:
        world.run()
    assert refused.value.facts["case"] == "vanished"
    assert "resync" in refused.value.hint
    assert world.staged("id") == [(1,), (2,)]

    world.run(resync=[STREAM])
    assert world.staged("id", "note") == in_source(world)
    assert world.loaded(world.run()) == 0


def test_raising_the_share_of_rows_that_may_be_gone_helps_too(world: SqlWorld) -> None:
    followed(world, deletes="diff", max_vanished=0.4)
    world.origin.sql("DELETE FROM orders WHERE id = 1")
    with pytest.raises(SourceRejected):
        world.run()

    world.read["max_vanished"] = 0.5
    assert world.loaded(world.run()) == 1
    assert world.staged("id", "note") == in_source(world)


def test_a_cursor_of_several_columns_is_followed_in_their_order(world: SqlWorld) -> None:
    world.read = {"cursor": ["day", "number"], "overlap": 0}
    world.origin.sql(
        "CREATE TABLE orders (day date, number integer, note text, PRIMARY KEY (day, number))",
        "INSERT INTO orders VALUES ('2026-01-01', 9, 'a'), ('2026-01-02', 5, 'b'), ('2026-01-02', 4, 'c')",
    )
    world.run()
    world.origin.sql(
        "INSERT INTO orders VALUES ('2026-01-01', 99, 'too early'), ('2026-01-02', 6, 'd'), ('2026-01-03', 1, 'e')",
        "UPDATE orders SET note = 'not looked at' WHERE number = 9",
    )

    assert world.loaded(world.run()) == 2
    assert world.staged("number", "note") == [(1, "e"), (4, "c"), (5, "b"), (6, "d"), (9, "a")]
    assert world.loaded(world.run()) == 0


def test_a_column_that_was_added_is_filled_in_the_rows_before_it_too(world: SqlWorld) -> None:
    followed(world)
    world.origin.sql("ALTER TABLE orders ADD COLUMN grade integer DEFAULT 7")

    world.run()

    assert world.staged("id", "grade") == [(1, 7), (2, 7)]
    assert world.verify().is_equal
    assert world.loaded(world.run()) == 0


def test_history_keeps_a_version_for_each_change_that_was_seen(world: SqlWorld) -> None:
    world.mode = Mode.HISTORY
    followed(world, deletes="diff")
    world.origin.sql("UPDATE orders SET note = 'B', updated_at = '2026-01-01 10:05:00' WHERE id = 2")
    world.run()
    world.origin.sql("DELETE FROM orders WHERE id = 1")
    world.run()

    rows = world.warehouse.rows(world.target()).to_pylist()
    versions = sorted((row["id"], row["note"], row["_cdc_current"]) for row in rows)
    assert versions == [(1, "a", False), (2, "B", True), (2, "b", False)]


def test_verify_finds_source_and_warehouse_equal(world: SqlWorld) -> None:
    followed(world, deletes="diff")
    world.origin.sql("INSERT INTO orders VALUES (3, 'c', '2026-01-01 10:05:00')", "DELETE FROM orders WHERE id = 1")

    result = world.verify()

    assert result.is_equal
    assert result.verdicts[0].comparison is not None
