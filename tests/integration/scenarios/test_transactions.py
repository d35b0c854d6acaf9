"""TRUNCATE, partitions, transactions, messages."""

from concurrent.futures import ThreadPoolExecutor

import attrs
import psycopg
import pytest

from pipeline.domain.errors import SchemaRefused
from pipeline.domain.events import BatchApplied
from tests.support.oracle import assert_equal
from tests.support.postgres import wait_for
from tests.support.world import World


@pytest.fixture
def pair(world: World) -> World:
    """Two tables, one referring to the other."""
    world.sql(
        "CREATE TABLE orders (id serial PRIMARY KEY, status text)",
        "CREATE TABLE items (id serial PRIMARY KEY, order_id int REFERENCES orders, n int)",
        "INSERT INTO orders (status) SELECT 'new' FROM generate_series(1, 10)",
        "INSERT INTO items (order_id, n) SELECT g, g FROM generate_series(1, 10) g",
    )
    world.stream("orders")
    world.stream("items")
    world.run()
    return world


@pytest.fixture
def events(world: World) -> World:
    """A table in two partitions."""
    world.sql(
        "CREATE TABLE events (id int, day date, note text, PRIMARY KEY (id, day)) PARTITION BY RANGE (day)",
        "CREATE TABLE events_1 PARTITION OF events FOR VALUES FROM ('2026-01-01') TO ('2026-02-01')",
        "CREATE TABLE events_2 PARTITION OF events FOR VALUES FROM ('2026-02-01') TO ('2026-03-01')",
        "INSERT INTO events VALUES (1, '2026-01-05', 'a'), (2, '2026-02-05', 'b')",
    )
    world.stream("events")
    return world


def publish_partitions(world: World) -> None:
    """A publication of somebody else tells changes by partition."""
    world.sql("CREATE PUBLICATION theirs FOR TABLE events WITH (publish_via_partition_root = false)")
    world.options = {"publication": "theirs", "manage_publication": False}


def test_truncate_then_insert_in_one_transaction(pair: World) -> None:
    pair.sql("TRUNCATE items", "INSERT INTO items VALUES (1, 1, 99), (77, 2, 5)")
    pair.run()
    assert_equal(pair)


def test_truncate_of_two_tables_with_cascade_and_restarted_identity(pair: World) -> None:
    pair.sql("INSERT INTO orders (status) VALUES ('soon gone')")
    pair.sql("TRUNCATE orders RESTART IDENTITY CASCADE", "INSERT INTO orders (status) VALUES ('first again')")
    pair.run()
    assert_equal(pair)
    assert pair.staging("items").num_rows == 0


@pytest.mark.parametrize("publication", ["ours, by the root", "theirs, by the partitions"])
def test_partitions_land_once_in_the_stream_of_their_root(events: World, publication: str) -> None:
    if publication.startswith("theirs"):
        publish_partitions(events)
    events.run()
    events.sql("INSERT INTO events VALUES (3, '2026-01-06', 'c')", "UPDATE events SET day = '2026-02-06' WHERE id = 1")
    events.run()
    assert_equal(events)


def test_a_partition_truncated_by_itself_does_not_empty_the_others(events: World) -> None:
    publish_partitions(events)
    events.run()
    events.sql("TRUNCATE events_1")
    with pytest.raises(SchemaRefused, match="truncated by itself"):
        events.run()
    assert events.staging("events").num_rows == 2
    events.run(resync=["events"])
    assert_equal(events)
    events.sql("TRUNCATE events", "INSERT INTO events VALUES (3, '2026-02-06', 'c')")
    events.run()
    assert_equal(events)


def test_a_transaction_larger_than_memory_allows_is_spilled_and_loaded_whole(pair: World) -> None:
    pair.limits = attrs.evolve(pair.limits, spill_bytes=256 * 1024, rows=5_000)
    pair.sql(
        "INSERT INTO orders SELECT g, 'bulk' FROM generate_series(100, 40099) g",
        "UPDATE orders SET status = 'done' WHERE id % 2 = 0",
        "DELETE FROM orders WHERE id % 7 = 0 AND id > 100",
    )
    pair.run()
    assert_equal(pair)
    assert pair.recorder.of(BatchApplied)[-1].transaction_count == 1
    assert not [path for path in (pair.folder / "spill").rglob("*") if path.is_file()]


def test_a_savepoint_rolled_back_in_the_middle(pair: World) -> None:
    with psycopg.connect(pair.dsn) as connection:
        connection.execute("INSERT INTO orders VALUES (101, 'before')")
        connection.execute("SAVEPOINT middle")
        connection.execute("INSERT INTO orders VALUES (102, 'middle')")
        connection.execute("ROLLBACK TO SAVEPOINT middle")
        connection.execute("INSERT INTO orders VALUES (103, 'after')")
    pair.run()
    assert_equal(pair)
    assert {row["id"] for row in pair.changelog("orders")} >= {101, 103}
    assert 102 not in {row["id"] for row in pair.changelog("orders")}


def test_a_transaction_open_since_before_the_slot_is_loaded_once(world: World) -> None:
    # The slot waits for every transaction that writes, so an open one must end for the snapshot to begin: it is
    # committed from a second thread while the slot is being created.
    world.sql("CREATE TABLE orders (id int PRIMARY KEY, status text)")
    world.stream("orders")
    open_before = psycopg.connect(world.dsn)
    open_before.execute("INSERT INTO orders VALUES (1, 'early')")

    waiting = (
        "SELECT 1 FROM pg_stat_activity "
        f"WHERE backend_type = 'walsender' AND datname = '{world.database}' AND wait_event_type = 'Lock'"
    )

    def commit_once_the_slot_waits() -> None:
        try:
            wait_for(lambda: world.rows(waiting))
        finally:
            open_before.commit()
            open_before.close()

    with ThreadPoolExecutor(1) as pool:
        committed = pool.submit(commit_once_the_slot_waits)
        world.run()
        committed.result()
    world.run()
    assert_equal(world)
    assert [row["id"] for row in world.changelog("orders")] == [1]


def test_no_reader_sees_half_of_a_transaction(pair: World) -> None:
    pair.sql("INSERT INTO orders VALUES (500, 'both')", "INSERT INTO items VALUES (500, 500, 1)")
    pair.run()
    orders = {row["id"]: row["_cdc_load"] for row in pair.all_rows("orders")}
    items = {row["id"]: row["_cdc_load"] for row in pair.all_rows("items")}
    assert orders[500] == items[500]


def test_transactions_without_rows_of_ours_move_the_position(pair: World) -> None:
    before = pair.checkpoint()
    pair.sql("CREATE TABLE stranger (id int)")
    pair.sql("INSERT INTO stranger VALUES (1)")
    pair.sql("SELECT pg_logical_emit_message(true, 'test', 'content')")
    pair.run()
    after = pair.checkpoint()
    assert after.position.covers(before.position)
    assert after.position != before.position
    assert pair.recorder.of(BatchApplied) == []


def test_messages_are_never_rows(pair: World) -> None:
    pair.sql(
        "SELECT pg_logical_emit_message(true, 'test', 'one')",
        "INSERT INTO orders VALUES (600, 'new')",
        "SELECT pg_logical_emit_message(false, 'test', 'two')",
    )
    pair.run()
    assert_equal(pair)
    assert [row["id"] for row in pair.changelog("orders")].count(600) == 1
