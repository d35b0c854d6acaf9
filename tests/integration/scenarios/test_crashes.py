"""Crash points, second writers, locked files, stops."""

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress

import attrs
import duckdb
import pytest

from pipeline.application.resync import resync
from pipeline.application.stream import follow
from pipeline.domain.errors import Fenced, PipelineError
from pipeline.domain.events import BatchApplied, CopyFinished
from pipeline.domain.stream import Mode
from tests.support.child import environment
from tests.support.faults import Fault, FaultyWarehouse
from tests.support.oracle import assert_equal
from tests.support.world import World

#: Reads a row as another program would, which tries again while a load has the file.
VISITOR = """
import sys, time, duckdb
deadline = time.monotonic() + 30
while True:
    try:
        connection = duckdb.connect(sys.argv[1])
        break
    except duckdb.IOException:
        if time.monotonic() > deadline:
            raise
        time.sleep(0.05)
connection.sql("FROM staging.shop__orders").fetchall()[0]
"""


@pytest.fixture
def orders(duckdb_world: World) -> World:
    world = duckdb_world
    world.sql(
        "CREATE TABLE orders (id int PRIMARY KEY, status text)",
        "INSERT INTO orders SELECT n, 'new' FROM generate_series(1, 1000) n",
    )
    world.stream("orders")
    return world


def change(world: World) -> None:
    world.sql("UPDATE orders SET status = 'paid' WHERE id % 3 = 0", "DELETE FROM orders WHERE id % 10 = 0")
    world.sql("INSERT INTO orders SELECT n, 'late' FROM generate_series(2001, 2100) n")


def crash(world: World, step: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.support.crasher", world.dsn, str(world.folder), step],
        capture_output=True,
        check=False,
        timeout=120,
        env=environment(),
    )
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()


def assert_exactly_once(world: World) -> None:
    assert_equal(world)
    sequences = [row["_cdc_sequence"] for row in world.changelog("orders")]
    assert len(sequences) == len(set(sequences))


@pytest.mark.parametrize("step", ["read", "apply", "before commit", "after commit", "acknowledge"])
def test_killed_while_following_the_log(orders: World, step: str) -> None:
    orders.run()
    orders.warehouse.close()
    change(orders)
    crash(orders, step)
    crash(orders, step) if step in {"read", "apply", "before commit"} else None
    orders.run()
    assert_exactly_once(orders)
    log = [row["_cdc_op"] for row in orders.changelog("orders")]
    assert log.count("update") == 333
    assert log.count("delete") == 100
    assert log.count("insert") == 100


@pytest.mark.parametrize("step", ["begin", "copy", "apply", "before commit", "after commit"])
def test_killed_while_beginning_and_copying(orders: World, step: str) -> None:
    crash(orders, step)
    change(orders)
    orders.run()
    assert_exactly_once(orders)


def test_killed_in_the_middle_of_a_large_transaction(orders: World) -> None:
    orders.limits = attrs.evolve(orders.limits, spill_bytes=256 * 1024, rows=5_000)
    orders.run()
    orders.warehouse.close()
    orders.sql(
        "INSERT INTO orders SELECT n, 'bulk' FROM generate_series(10001, 50000) n",
        "UPDATE orders SET status = 'tail' WHERE id > 49000",
    )
    crash(orders, "apply")
    assert orders.staging("orders").num_rows == 1000
    orders.run()
    assert_exactly_once(orders)


@pytest.mark.parametrize("fault", [Fault.ANSWER_LOST, Fault.COMMIT_LOST])
def test_the_answer_to_a_commit_is_lost(orders: World, fault: Fault) -> None:
    orders.run()
    change(orders)
    orders.run(warehouse=FaultyWarehouse(orders.warehouse, fault))  # type: ignore[arg-type] # hands everything on
    assert_exactly_once(orders)


def test_two_runs_started_together(orders: World) -> None:
    orders.run()
    orders.warehouse.close()
    change(orders)
    command = [sys.executable, "-m", "tests.support.crasher", orders.dsn, str(orders.folder), "none"]
    runs = [subprocess.Popen(command, stderr=subprocess.PIPE, env=environment()) for _ in range(2)]
    errors = [run.communicate(timeout=120)[1].decode() for run in runs]
    assert any(run.returncode == 0 for run in runs), errors
    for run, error in zip(runs, errors, strict=True):
        assert run.returncode == 0 or any(name in error for name in ("Fenced", "SourceRejected", "SourceUnreachable"))
    orders.run()
    assert_exactly_once(orders)


def test_a_paused_writer_that_wakes_up_is_fenced(orders: World) -> None:
    orders.run()
    stale = orders.checkpoint()
    change(orders)
    orders.run()
    with pytest.raises(Fenced), orders.warehouse.load(stale, stale.next(orders.checkpoint().position, at=stale.at)):
        pass
    assert_exactly_once(orders)


def test_a_reader_holds_the_file_for_a_while(orders: World) -> None:
    orders.run()
    orders.warehouse.close()
    change(orders)
    script = "import duckdb, sys; c = duckdb.connect(sys.argv[1]); print('held', flush=True); sys.stdin.read(1)"
    reader = subprocess.Popen(
        [sys.executable, "-c", script, str(orders.folder / "warehouse.duckdb")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert reader.stdout is not None
    assert reader.stdin is not None
    assert reader.stdout.readline() == b"held\n"
    timer = threading.Timer(1.0, reader.stdin.close)
    timer.start()
    orders.run()
    reader.wait(120)
    assert_exactly_once(orders)


def test_the_file_is_free_between_batches(orders: World) -> None:
    session = orders.session()
    follower = threading.Thread(target=follow, args=(session,))
    follower.start()
    try:
        _wait_until(lambda: orders.warehouse.states("shop").get("orders") is not None)
        change(orders)
        _wait_until(lambda: bool(orders.recorder.of(BatchApplied)))
        path = str(orders.folder / "warehouse.duckdb")
        assert follower.is_alive()
        done = subprocess.run([sys.executable, "-c", VISITOR, path], capture_output=True, check=False, timeout=120)
        assert done.returncode == 0, done.stderr.decode()
        assert follower.is_alive()
    finally:
        session.stop.set()
        follower.join()
        session.source.close()
    orders.run()
    assert_exactly_once(orders)


def test_the_mode_is_switched_there_and_back_without_reading_the_source(world: World) -> None:
    world.sql("CREATE TABLE orders (id int PRIMARY KEY, status text)", "INSERT INTO orders VALUES (1, 'a'), (2, 'b')")
    world.stream("orders")
    world.run()
    world.sql("UPDATE orders SET status = 'c' WHERE id = 1", "DELETE FROM orders WHERE id = 2")
    world.run()
    for mode in (Mode.SOFT_DELETE, Mode.HISTORY, Mode.MIRROR):
        world.stream("orders", mode=mode)
        world.run()
        assert_equal(world)
        assert {row["id"] for row in world.all_rows("orders")} == ({1} if mode is Mode.MIRROR else {1, 2})
    assert len(world.recorder.of(CopyFinished)) == 1


@pytest.mark.parametrize("gap", ["the log was lost", "the stream was taken out for a while"])
def test_a_mode_switched_while_there_is_a_gap_keeps_no_row_of_the_old_mode(world: World, gap: str) -> None:
    world.sql("CREATE TABLE orders (id int PRIMARY KEY, status text)", "INSERT INTO orders VALUES (1, 'a'), (2, 'b')")
    world.stream("orders", mode=Mode.SOFT_DELETE)
    world.sql("CREATE TABLE items (id int PRIMARY KEY)")
    world.stream("items")
    world.run()
    world.sql("DELETE FROM orders WHERE id = 1")
    world.run()
    if gap == "the log was lost":
        world.rows(f"SELECT pg_drop_replication_slot('rdp_{world.database}')")
        world.stream("orders", mode=Mode.HISTORY)
        session = world.session()
        resync(session, ["orders", "items"])
        session.source.close()
    else:
        del world.streams["orders"]
        world.run()
        world.stream("orders", mode=Mode.HISTORY)
        world.run()
    versions = [(row["id"], row["_cdc_deleted"], row["_cdc_current"]) for row in world.all_rows("orders")]
    assert sorted(versions) == [(1, False, False), (2, False, True)]
    assert_equal(world)


def test_an_empty_poll_loads_nothing_and_an_empty_table_is_emptied(world: World) -> None:
    world.sql("CREATE TABLE orders (id int PRIMARY KEY, status text)", "INSERT INTO orders VALUES (1, 'a')")
    world.stream("orders")
    world.run()
    before = world.warehouse.audit("shop")
    world.run()
    assert world.warehouse.audit("shop") == before
    world.sql("SET session_replication_role = replica", "DELETE FROM orders")
    world.run(resync=["orders"])
    assert world.staging("orders").num_rows == 0


def test_a_batch_that_fails_leaves_the_file_usable(orders: World) -> None:
    orders.run()
    change(orders)

    class Breaks(FaultyWarehouse):
        def load(self, previous, checkpoint):  # type: ignore[no-untyped-def] # as the port has it
            load = super().load(previous, checkpoint)
            load.commit = _broken  # type: ignore[method-assign] # a scripted fault
            return load

    with pytest.raises(duckdb.Error):
        orders.run(warehouse=Breaks(orders.warehouse, Fault.COMMIT_LOST))  # type: ignore[arg-type] # hands everything on
    orders.run()
    assert_exactly_once(orders)


def _broken(counts: object) -> None:
    raise duckdb.TransactionException("broken on purpose")


def _wait_until(condition: Callable[[], bool], timeout_s: float = 120.0) -> None:
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        with suppress(PipelineError):
            if condition():
                return
        time.sleep(0.05)
    raise AssertionError("the condition never came true")
