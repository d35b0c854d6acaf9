"""Snapshots, and whether what is said is true."""

import subprocess
import sys
import threading

import attrs
import psycopg
import pytest

from pipeline.application.sync import sync
from pipeline.domain.errors import SourceUnreachable
from pipeline.domain.events import BatchApplied, CopyAdvanced, CopyFinished, CopyStarted, Event
from pipeline.domain.stream import Mode
from pipeline.ports.warehouse import target_of
from tests.support.oracle import assert_equal
from tests.support.world import World


def churn(dsn: str, stop: threading.Event) -> None:
    """Inserts, updates, key changes and deletes until told to stop."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        number = 0
        while not stop.is_set():
            number += 1
            with connection.transaction():
                connection.execute("INSERT INTO orders VALUES (%s, 'new')", [10_000 + number])
                connection.execute("UPDATE orders SET status = %s WHERE id %% 100 = %s", [f"s{number}", number % 100])
                connection.execute("DELETE FROM orders WHERE id = %s", [number])
                connection.execute("UPDATE orders SET id = id + 1000000 WHERE id = %s", [10_000 + number - 3])


class Cutter:
    """Ends the connection that copies once the first rows have come."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._is_cut = False

    def record(self, event: Event) -> None:
        if isinstance(event, CopyAdvanced) and not self._is_cut:
            self._is_cut = True
            self._world.rows(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND query LIKE 'COPY%'"
            )


@pytest.mark.parametrize("mode", [Mode.MIRROR, Mode.HISTORY])
def test_changes_of_every_kind_during_the_snapshot(world: World, mode: Mode) -> None:
    world.sql(
        "CREATE TABLE orders (id int PRIMARY KEY, status text)",
        "INSERT INTO orders SELECT n, 'new' FROM generate_series(1, 5000) n",
    )
    world.stream("orders", mode=mode)
    stop = threading.Event()
    writer = threading.Thread(target=churn, args=(world.dsn, stop))
    writer.start()
    try:
        world.run()
    finally:
        stop.set()
        writer.join()
    world.run()
    assert_equal(world)


class Meddler:
    """Commits statements at the source as soon as a copy begins."""

    def __init__(self, world: World, *statements: str) -> None:
        self._world = world
        self._statements = statements

    def record(self, event: Event) -> None:
        if isinstance(event, CopyStarted):
            self._world.sql(*self._statements)


@pytest.mark.parametrize("mode", Mode)
def test_a_big_column_left_unchanged_while_its_row_is_still_being_copied(world: World, mode: Mode) -> None:
    world.sql(
        "CREATE TABLE docs (id int PRIMARY KEY, title text, body text)",
        "ALTER TABLE docs ALTER body SET STORAGE EXTERNAL",
        "INSERT INTO docs SELECT n, 'old', repeat(md5(n::text), 1000) FROM generate_series(1, 3) n",
    )
    world.stream("docs", mode=mode)
    meddler = Meddler(
        world,
        "UPDATE docs SET title = 'new' WHERE id = 1",
        "UPDATE docs SET id = 9 WHERE id = 2",
        "UPDATE docs SET title = 'gone' WHERE id = 3",
        "DELETE FROM docs WHERE id = 3",
    )
    session = attrs.evolve(world.session(), metrics=meddler)
    try:
        sync(session)
    finally:
        session.source.close()
    if mode is Mode.APPEND:
        assert [row["_cdc_unchanged"] for row in world.changelog("docs")][3:] == [["body"], ["body"], ["body"], None]
    else:
        assert_equal(world)


def test_a_connection_lost_in_the_middle_of_a_copy_is_told_without_values(world: World) -> None:
    world.sql(
        "CREATE TABLE orders (id int PRIMARY KEY, status text)",
        "INSERT INTO orders SELECT n, repeat('canary', 400) FROM generate_series(1, 30000) n",
    )
    world.stream("orders")
    session = attrs.evolve(world.session(), metrics=Cutter(world))
    try:
        with pytest.raises(SourceUnreachable) as lost:
            sync(session)
    finally:
        session.source.close()
    assert lost.value.what == (
        "the connection to PostgreSQL was lost, or the server gave up, while rows were read"
    )  # the driver's own text may have a row in it
    assert lost.value.__cause__ is None
    world.run()
    assert_equal(world)


def test_an_empty_table_has_its_staging_table_and_checkpoint(world: World) -> None:
    world.sql("CREATE TABLE orders (id int PRIMARY KEY, status text)")
    world.stream("orders")
    world.run()
    assert world.staging("orders").num_rows == 0
    assert world.checkpoint() is not None
    world.sql("INSERT INTO orders VALUES (1, 'first')")
    world.run()
    assert_equal(world)


def test_the_books_of_every_load_balance_and_add_up_to_the_changelog(world: World) -> None:
    world.sql("CREATE TABLE orders (id int PRIMARY KEY, status text)")
    world.stream("orders")
    world.run()
    for step in range(5):
        world.sql(
            f"INSERT INTO orders SELECT n, 'x' FROM generate_series({step * 100}, {step * 100 + 99}) n",
            f"UPDATE orders SET status = 'y' WHERE id % 7 = {step}",
            "DELETE FROM orders WHERE id % 50 = 0",
        )
        world.run()
    batches = world.recorder.of(BatchApplied)
    assert all(batch.counts["orders"].is_balanced for batch in batches)
    total = sum(batch.counts["orders"].changelog_count for batch in batches)
    assert total == len(world.changelog("orders"))
    assert_equal(world)


def test_verify_finds_one_corrupted_row_and_mends_it(duckdb_world: World) -> None:
    world = duckdb_world
    world.sql(
        "CREATE TABLE orders (id int PRIMARY KEY, status text)",
        "INSERT INTO orders SELECT n, 'new' FROM generate_series(1, 1000) n",
    )
    world.stream("orders")
    world.run()
    world.warehouse.close()
    corrupt = "UPDATE staging.shop__orders SET status = 'corrupt' WHERE id = 500;"
    corrupt += "DELETE FROM staging.shop__orders WHERE id = 7"
    script = "import duckdb, sys; duckdb.connect(sys.argv[1]).execute(sys.argv[2])"
    subprocess.run([sys.executable, "-c", script, str(world.folder / "warehouse.duckdb"), corrupt], check=True)
    found = world.verify()
    (verdict,) = found.verdicts
    assert verdict.comparison is not None
    assert (verdict.comparison.changed_count, verdict.comparison.missing_count) == (1, 1)
    assert not found.is_equal
    assert {"500", "7"} <= {"".join(filter(str.isdigit, key)) for key in verdict.comparison.keys}
    assert world.verify(repair=True).is_equal
    assert world.verify().is_equal
    assert_equal(world)


def test_verify_follows_a_type_that_was_widened_without_a_row_written(world: World) -> None:
    world.sql("CREATE TABLE orders (id int PRIMARY KEY, n int)", "INSERT INTO orders VALUES (1, 5)")
    world.stream("orders")
    world.run()
    world.sql("ALTER TABLE orders ALTER n TYPE bigint")
    found = world.verify(repair=True)
    assert [verdict.repaired_count for verdict in found.verdicts] == [0]
    assert found.is_equal
    world.sql("UPDATE orders SET n = 5000000000")
    world.run()
    assert_equal(world)


def test_verify_finds_the_values_that_a_new_column_got_by_rewriting_its_table(world: World) -> None:
    world.sql("CREATE TABLE orders (id int PRIMARY KEY)", "INSERT INTO orders VALUES (1), (2)")
    world.stream("orders")
    world.run()
    with psycopg.connect(world.dsn, autocommit=True) as connection:
        connection.execute("ALTER TABLE orders ADD token text DEFAULT 'token'")
        connection.execute("VACUUM FULL orders")  # what the catalog told of old rows is gone with the old file
    (verdict,) = world.verify(repair=True).verdicts
    assert verdict.comparison is not None
    assert (verdict.comparison.changed_count, verdict.repaired_count) == (2, 2)
    assert_equal(world)


def test_a_busy_table_raises_no_false_alarm(world: World) -> None:
    world.sql(
        "CREATE TABLE orders (id int PRIMARY KEY, status text)",
        "INSERT INTO orders SELECT n, 'new' FROM generate_series(1, 2000) n",
    )
    world.stream("orders")
    world.run()
    stop = threading.Event()
    writer = threading.Thread(target=churn, args=(world.dsn, stop))
    writer.start()
    try:
        for _ in range(2):
            assert world.verify().is_equal
    finally:
        stop.set()
        writer.join()


def test_a_run_under_steady_writes_ends_and_the_next_picks_up_the_tail(world: World) -> None:
    world.sql("CREATE TABLE orders (id int PRIMARY KEY, status text)")
    world.stream("orders")
    world.run()
    stop = threading.Event()
    writer = threading.Thread(target=churn, args=(world.dsn, stop))
    writer.start()
    try:
        for _ in range(2):
            world.run()
    finally:
        stop.set()
        writer.join()
    world.run()
    assert_equal(world)


def test_a_stream_copied_again_leaves_the_others_alone(world: World) -> None:
    world.sql(
        "CREATE TABLE orders (id int PRIMARY KEY, status text)",
        "CREATE TABLE items (id int PRIMARY KEY, n int)",
        "INSERT INTO orders VALUES (1, 'a'), (2, 'b')",
        "INSERT INTO items VALUES (1, 1)",
    )
    world.stream("orders", mode=Mode.HISTORY)
    world.stream("items")
    world.run()
    world.sql("UPDATE orders SET status = 'c' WHERE id = 1", "UPDATE items SET n = 2")
    world.run(resync=["orders"])
    assert_equal(world)
    assert [event.stream for event in world.recorder.of(CopyFinished)] == ["orders", "items", "orders"]
    target = target_of(world.warehouse.states("shop")["orders"])
    assert world.warehouse.current(target).num_rows == 2
