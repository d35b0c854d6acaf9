"""Snapshot and log together give the source's tables, whatever is written meanwhile."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from pipeline.domain.change import COMMIT_AT, OP, SEQUENCE, Operation
from pipeline.domain.position import PHASE_LOG, PHASE_SNAPSHOT, Sequence
from pipeline.domain.stream import BatchLimits
from tests.support.postgres import Scene, begin, stream, wait_for

pytestmark = pytest.mark.integration

ACCOUNTS = "CREATE TABLE accounts (id int PRIMARY KEY, owner text, balance bigint NOT NULL)"


def test_a_snapshot_and_the_log_behind_it_give_the_table(scene: Scene) -> None:
    scene.sql(ACCOUNTS)
    scene.sql("INSERT INTO accounts SELECT n, 'owner ' || n, n FROM generate_series(1, 500) n")
    source = scene.source()

    copy = begin(
        source, [stream("accounts")], during=lambda: scene.sql("UPDATE accounts SET balance = -1 WHERE id <= 100")
    )
    assert sum(row["balance"] == -1 for row in copy.rows["accounts"].values()) == 0
    scene.sql("DELETE FROM accounts WHERE id > 490")
    scene.sql("UPDATE accounts SET id = 1000 WHERE id = 1")
    copy.follow(source)

    assert copy.rows["accounts"] == scene.rows("accounts")


def test_two_writers_during_the_snapshot_leave_neither_gap_nor_ghost(scene: Scene) -> None:
    scene.sql(ACCOUNTS)
    scene.sql("INSERT INTO accounts SELECT n, 'owner ' || n, n FROM generate_series(1, 2000) n")
    source = scene.source()
    stop = threading.Event()
    failures: list[BaseException] = []

    def write(first: int) -> None:
        try:
            with scene.connect() as connection:
                number = first
                while not stop.is_set():
                    connection.execute("INSERT INTO accounts VALUES (%s, 'new', 0)", [10_000 + number])
                    connection.execute("UPDATE accounts SET balance = balance + 1 WHERE id = %s", [number % 2000 + 1])
                    connection.execute("DELETE FROM accounts WHERE id = %s", [(number * 7) % 2000 + 1])
                    connection.commit()
                    number += 2
        except BaseException as error:
            failures.append(error)

    writers = [threading.Thread(target=write, args=(first,)) for first in (0, 1)]
    for writer in writers:
        writer.start()
    try:
        copy = begin(source, [stream("accounts")])
        copy.follow(source)
    finally:
        stop.set()
        for writer in writers:
            writer.join()
    copy.follow(source)

    assert failures == []
    assert len(copy.changes) > 0
    assert copy.rows["accounts"] == scene.rows("accounts")


def test_snapshot_rows_carry_their_position_and_count_up(scene: Scene) -> None:
    scene.sql(ACCOUNTS)
    scene.sql("INSERT INTO accounts SELECT n, NULL, n FROM generate_series(1, 300) n")
    source = scene.source()
    source.prepare([stream("accounts")])

    with source.begin([stream("accounts")], epoch=3) as snapshot:
        tables = [piece.table for piece in snapshot.read("accounts")]
        position = snapshot.position
    rows = [row for table in tables for row in table.to_pylist()]

    assert {row[OP] for row in rows} == {int(Operation.SNAPSHOT)}
    assert [Sequence.unpack(int(row[SEQUENCE])) for row in rows] == [
        Sequence(3, int(position.parts["lsn"]), PHASE_SNAPSHOT, ordinal) for ordinal in range(300)
    ]
    assert len({row[COMMIT_AT] for row in rows}) == 1


def test_an_empty_table_yields_nothing_and_its_first_row_comes_by_the_log(scene: Scene) -> None:
    scene.sql(ACCOUNTS)
    source = scene.source()

    copy = begin(source, [stream("accounts")])
    assert copy.rows == {"accounts": {}}
    scene.sql("INSERT INTO accounts VALUES (1, 'a', 1)")
    copy.follow(source)

    assert copy.rows["accounts"] == scene.rows("accounts") != {}


def test_a_transaction_open_since_before_the_slot_comes_exactly_once(scene: Scene) -> None:
    scene.sql(ACCOUNTS)
    source = scene.source()
    source.prepare([stream("accounts")])
    with scene.connect() as early:
        early.execute("INSERT INTO accounts VALUES (1, 'early', 0)")
        waiting = (
            "SELECT count(*) FROM pg_stat_activity "
            "WHERE backend_type = 'walsender' AND datname = %s AND wait_event_type = 'Lock'"
        )

        def commit_when_the_slot_waits() -> None:
            try:
                wait_for(lambda: scene.sql(waiting, scene.database) == [(1,)])
            finally:
                early.commit()

        with ThreadPoolExecutor(1) as pool:
            committed = pool.submit(commit_when_the_slot_waits)
            copy = begin(source, [stream("accounts")])
            committed.result()
    copy.follow(source)

    assert copy.rows["accounts"] == {(1,): {"id": 1, "owner": "early", "balance": 0}}
    assert copy.changes == []


def test_a_stream_added_later_takes_changes_from_its_own_snapshot_on(scene: Scene) -> None:
    scene.sql(ACCOUNTS)
    scene.sql("CREATE TABLE late (id int PRIMARY KEY, note text)")
    source = scene.source()
    copy = begin(source, [stream("accounts")])
    source.prepare([stream("accounts"), stream("late")])
    scene.sql("INSERT INTO late VALUES (1, 'in the snapshot')")
    with source.snapshot([stream("late")], epoch=1) as snapshot:
        scene.sql("INSERT INTO late VALUES (2, 'in the log')")
        copy.rows["late"] = {
            (row["id"],): {"id": row["id"], "note": row["note"]}
            for piece in snapshot.read("late")
            for row in piece.table.to_pylist()
        }
        copy.streams["late"] = (stream("late"), snapshot.position)
    copy.follow(source)

    assert copy.rows["late"] == scene.rows("late")
    assert copy.labels() == [("late", "insert")]
    assert [batch.covered_counts for batch in copy.batches if batch.covered_counts] == [{"late": 1}]
    assert scene.sql("SELECT count(*) FROM pg_replication_slots WHERE slot_name LIKE %s", f"{scene.slot}%") == [(1,)]


def test_unusual_names_are_read_and_followed(scene: Scene) -> None:
    scene.sql('CREATE SCHEMA "Odd.One"')
    scene.sql(
        'CREATE TABLE "Odd.One"."Ta""ble 😀" '
        '("Id" int PRIMARY KEY, "id" text, "select" text, "a""b" text, "_cdc_op" int)'
    )
    scene.sql("""INSERT INTO "Odd.One"."Ta""ble 😀" VALUES (1, 'x', 'y', 'z', 2)""")
    source = scene.source()
    [relation] = source.discover()
    spec = stream("odd", relation.name)

    copy = begin(source, [spec])
    scene.sql("""UPDATE "Odd.One"."Ta""ble 😀" SET "a""b" = 'changed'""")
    copy.follow(source)

    assert relation.name == '"Odd.One"."Ta""ble 😀"'
    assert copy.rows["odd"] == {(1,): {"Id": 1, "id_2": "x", "select": "y", 'a"b': "changed", "cdc_op": 2}}


def test_a_partitioned_table_is_as_large_as_its_partitions(scene: Scene) -> None:
    scene.sql("CREATE TABLE sales (id int PRIMARY KEY) PARTITION BY RANGE (id)")
    scene.sql("CREATE TABLE sales_1 PARTITION OF sales FOR VALUES FROM (0) TO (100) PARTITION BY RANGE (id)")
    scene.sql("CREATE TABLE sales_1_1 PARTITION OF sales_1 FOR VALUES FROM (0) TO (100)")
    scene.sql("CREATE TABLE sales_2 PARTITION OF sales FOR VALUES FROM (100) TO (1000)")
    scene.sql("INSERT INTO sales SELECT generate_series(0, 599)")

    [before] = scene.source().discover()
    scene.sql("ANALYZE sales")
    [after] = scene.source().discover()

    assert before.estimated_count is None
    assert (before.byte_count or 0) >= 600 * 24
    assert (after.estimated_count, after.byte_count) == (600, before.byte_count)


def test_dropped_columns_and_generated_columns_are_no_columns(scene: Scene) -> None:
    scene.sql("CREATE TABLE t (id int PRIMARY KEY, gone text, a int, b int GENERATED ALWAYS AS (a * 2) STORED, c text)")
    scene.sql("ALTER TABLE t DROP COLUMN gone")
    scene.sql("INSERT INTO t (id, a, c) VALUES (1, 2, 'x')")
    source = scene.source()

    copy = begin(source, [stream("t")])
    scene.sql("INSERT INTO t (id, a, c) VALUES (2, 3, 'y')")
    copy.follow(source)

    expected = scene.rows("t")
    if scene.server.version < 18:
        expected = {key: {name: row[name] for name in ("id", "a", "c")} for key, row in expected.items()}
    assert copy.rows["t"] == expected


@pytest.mark.parametrize("is_via_root", [True, False])
def test_rows_of_partitions_land_once_in_their_root(scene: Scene, is_via_root: bool) -> None:
    scene.sql("CREATE TABLE sales (id int, day date, note text, PRIMARY KEY (id, day)) PARTITION BY RANGE (day)")
    scene.sql("CREATE TABLE sales_1 PARTITION OF sales FOR VALUES FROM ('2026-01-01') TO ('2026-07-01')")
    # Attached with its columns in another order.
    scene.sql("CREATE TABLE sales_2 (note text, day date NOT NULL, id int NOT NULL, PRIMARY KEY (id, day))")
    scene.sql("ALTER TABLE sales ATTACH PARTITION sales_2 FOR VALUES FROM ('2026-07-01') TO ('2027-01-01')")
    scene.sql("INSERT INTO sales SELECT n, '2026-01-01'::date + n, 'n' || n FROM generate_series(1, 300) n")
    if is_via_root:
        source = scene.source()
    else:
        scene.sql("CREATE PUBLICATION theirs FOR TABLE sales WITH (publish_via_partition_root = false)")
        source = scene.source(publication="theirs", manage_publication=False)

    copy = begin(source, [stream("sales")])
    assert copy.rows["sales"] == scene.rows("sales", ("id", "day"))
    scene.sql("UPDATE sales SET day = day + 180, note = 'moved' WHERE id = 1")
    scene.sql("UPDATE sales SET note = 'changed' WHERE id BETWEEN 100 AND 250")
    scene.sql("DELETE FROM sales WHERE id > 290")
    copy.follow(source)

    assert copy.rows["sales"] == scene.rows("sales", ("id", "day"))
    assert {name for name, _ in copy.changes} == {"sales"}


def test_values_of_both_ways_are_the_same(scene: Scene) -> None:
    """What the snapshot reads in binary form and what the log writes as text."""
    scene.sql("CREATE TYPE mood AS ENUM ('sad', 'happy')")
    scene.sql(
        """CREATE TABLE v (id int PRIMARY KEY, b bool, i2 smallint, i8 bigint, f4 real, f8 double precision, n numeric,
           n2 numeric(12, 2), t text, c char(5), vc varchar(9), d date, ts timestamp, tz timestamptz, ti time, by bytea,
           u uuid, j jsonb, js json, m mood, a int[], ta text[], iv interval, ip inet, r int4range, mo money)"""
    )
    values = """true, -5, 9223372036854775807, 0.1, 1e-310, 12345.678901, 99.50, E'tab\\t"quote" 😀', 'ab', 'v',
        '0044-03-15 BC', '2026-03-29 02:30:00.123456', '2026-10-25 02:30:00+02', '23:59:59.999999', '\\x00ff',
        'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', '{"a": [1, null]}', '{"a":  1}', 'happy', '{1,NULL,3}', '{"a,b",NULL}',
        '1 year 2 days 03:04:05.6', '10.0.0.1/8', '[1,5)', '12.34'"""
    scene.sql(f"INSERT INTO v VALUES (1, {values})".replace("%", "%%"))
    source = scene.source()

    copy = begin(source, [stream("v")])
    scene.sql(f"INSERT INTO v VALUES (2, {values})")
    copy.follow(source)

    read, logged = copy.rows["v"][(1,)], copy.rows["v"][(2,)]
    assert {**read, "id": 2} == logged
    assert sum(value is not None for value in read.values()) >= 25


def test_whole_transactions_over_several_tables_and_savepoints(scene: Scene) -> None:
    scene.sql(ACCOUNTS)
    scene.sql("CREATE TABLE entries (id int PRIMARY KEY, account int, amount int)")
    source = scene.source()
    copy = begin(source, [stream("accounts"), stream("entries")])

    scene.transaction(
        "INSERT INTO accounts VALUES (1, 'a', 0)",
        "INSERT INTO entries VALUES (1, 1, 10)",
        "SAVEPOINT kept",
        "INSERT INTO entries VALUES (2, 1, 20)",
        "SAVEPOINT lost",
        "INSERT INTO entries VALUES (3, 1, 30)",
        "ROLLBACK TO SAVEPOINT lost",
        "UPDATE accounts SET balance = 30",
    )
    for number in range(20):
        scene.transaction(
            f"INSERT INTO entries VALUES ({100 + number}, 1, 1)", "UPDATE accounts SET balance = balance + 1"
        )
    copy.follow(source, limits=BatchLimits(rows=1))

    assert copy.rows == {"accounts": scene.rows("accounts"), "entries": scene.rows("entries")}
    per_batch = [batch for batch in copy.batches if not batch.is_empty]
    assert len(per_batch) == 21
    assert all(set(batch.schemas) == {"accounts", "entries"} for batch in per_batch)
    commits = [Sequence.unpack(int(change[SEQUENCE])) for _, change in copy.changes]
    assert {sequence.phase for sequence in commits} == {PHASE_LOG}
    assert len(set(commits)) == len(commits) == 44


def test_ddl_other_tables_and_messages_move_the_position_without_rows(scene: Scene) -> None:
    scene.sql(ACCOUNTS)
    source = scene.source()
    copy = begin(source, [stream("accounts")])
    before = copy.position

    scene.sql("CREATE TABLE other (id int PRIMARY KEY)")
    scene.sql("INSERT INTO other SELECT generate_series(1, 1000)")
    scene.sql("SELECT pg_logical_emit_message(true, 'app', 'row? no'), pg_logical_emit_message(false, 'app', 'no')")
    copy.follow(source)

    assert copy.changes == []
    assert copy.position.covers(before)
    assert copy.position != before


def test_truncate_comes_in_its_place_and_per_table(scene: Scene) -> None:
    scene.sql(ACCOUNTS)
    scene.sql("CREATE TABLE entries (id serial PRIMARY KEY, account int REFERENCES accounts)")
    scene.sql("INSERT INTO accounts VALUES (1, 'a', 1)")
    scene.sql("INSERT INTO entries (account) VALUES (1)")
    source = scene.source()
    copy = begin(source, [stream("accounts"), stream("entries")])

    scene.transaction(
        "INSERT INTO accounts VALUES (2, 'gone', 1)",
        "TRUNCATE accounts RESTART IDENTITY CASCADE",
        "INSERT INTO accounts VALUES (3, 'stays', 1)",
    )
    copy.follow(source)

    assert sorted(copy.labels()) == [
        ("accounts", "insert"),
        ("accounts", "insert"),
        ("accounts", "truncate"),
        ("entries", "truncate"),
    ]
    assert copy.rows == {"accounts": scene.rows("accounts"), "entries": {}}
