"""Position and slot."""

import threading

import attrs
import psycopg
import pytest

from pipeline.application.resync import resync
from pipeline.application.stream import follow
from pipeline.domain.errors import LogLost, SourceRejected
from pipeline.domain.events import IdleCheckpoint
from tests.support.oracle import assert_equal
from tests.support.world import World


@pytest.fixture
def orders(world: World) -> World:
    world.sql("CREATE TABLE orders (id int PRIMARY KEY, status text)", "INSERT INTO orders VALUES (1, 'a'), (2, 'b')")
    world.stream("orders")
    world.run()
    return world


def slot(world: World) -> str:
    ((name,),) = world.rows("SELECT slot_name FROM pg_replication_slots WHERE database = current_database()")
    return str(name)


def test_the_log_is_released_while_only_others_write(orders: World) -> None:
    orders.limits = attrs.evolve(orders.limits, idle_checkpoint_bytes=1_000_000, idle_checkpoint_s=3600)
    session = orders.session()
    follower = threading.Thread(target=follow, args=(session,))
    follower.start()
    try:
        with psycopg.connect(orders.server.dsn(), autocommit=True) as elsewhere:
            elsewhere.execute("CREATE TABLE IF NOT EXISTS noise (note text)")
            for _ in range(4):
                elsewhere.execute("INSERT INTO noise SELECT repeat('x', 900) FROM generate_series(1, 5000)")
            mark = elsewhere.execute("SELECT pg_current_wal_lsn()").fetchone()
            elsewhere.execute("DROP TABLE noise")
        assert mark is not None
        held = f"SELECT pg_wal_lsn_diff('{mark[0]}', confirmed_flush_lsn) FROM pg_replication_slots"
        held += f" WHERE slot_name = '{slot(orders)}'"
        waiter = threading.Event()
        for _ in range(2400):  # a server that is busy says where it is after half its time-out of 60 s
            if orders.rows(held)[0][0] < 4_000_000:
                break
            waiter.wait(0.05)
        assert orders.rows(held)[0][0] < 4_000_000
    finally:
        session.stop.set()
        follower.join()
        session.source.close()
    assert orders.recorder.of(IdleCheckpoint)


def lose(world: World, case: str) -> None:
    if case == "missing":
        world.sql(f"SELECT pg_drop_replication_slot('{slot(world)}')")
    else:
        world.sql("UPDATE orders SET status = 'lost' WHERE id = 1")
        world.sql(f"SELECT pg_replication_slot_advance('{slot(world)}', pg_current_wal_lsn())")


@pytest.mark.parametrize("case", ["missing", "ahead"])
def test_a_lost_log_is_named_and_nothing_is_loaded(orders: World, case: str) -> None:
    lose(orders, case)
    orders.sql("INSERT INTO orders VALUES (3, 'after')")
    before = orders.checkpoint()
    with pytest.raises(LogLost) as lost:
        orders.run()
    assert lost.value.facts["case"] == case
    assert lost.value.hint
    assert lost.value.exit_code == 2
    assert orders.checkpoint() == before
    assert orders.staging("orders").num_rows == 2


@pytest.mark.parametrize("case", ["missing", "ahead"])
def test_copying_every_stream_again_mends_it(orders: World, case: str) -> None:
    lose(orders, case)
    orders.sql("INSERT INTO orders VALUES (3, 'after')", "DELETE FROM orders WHERE id = 2")
    session = orders.session()
    try:
        resync(session, ["orders"])
    finally:
        session.source.close()
    assert_equal(orders)
    orders.sql("UPDATE orders SET status = 'later'")
    orders.run()
    assert_equal(orders)
    assert orders.checkpoint().epoch == 1


def test_a_slot_behind_the_checkpoint_is_normal(orders: World) -> None:
    confirmed = orders.rows(f"SELECT confirmed_flush_lsn FROM pg_replication_slots WHERE slot_name = '{slot(orders)}'")
    orders.sql("UPDATE orders SET status = 'c'")
    from tests.support.faults import Died, Fault, FaultyWarehouse

    with pytest.raises(Died):
        orders.run(warehouse=FaultyWarehouse(orders.warehouse, Fault.DIES_AFTER_COMMIT))  # type: ignore[arg-type] # as is
    assert (
        orders.rows(f"SELECT confirmed_flush_lsn FROM pg_replication_slots WHERE slot_name = '{slot(orders)}'")
        == confirmed
    )
    orders.run()
    assert_equal(orders)
    assert [row["_cdc_op"] for row in orders.changelog("orders")] == ["snapshot", "snapshot", "update", "update"]


def test_a_slot_of_the_same_name_that_is_not_ours_is_refused(world: World) -> None:
    world.sql("CREATE TABLE orders (id int PRIMARY KEY, status text)")
    world.stream("orders")
    world.options = {"slot": "taken"}
    world.sql("SELECT pg_create_logical_replication_slot('taken', 'pgoutput')")
    with pytest.raises(SourceRejected):
        world.run()
    assert world.rows("SELECT slot_name FROM pg_replication_slots WHERE database = current_database()") == [("taken",)]
