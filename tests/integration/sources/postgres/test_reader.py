"""Batches of whole transactions in bounded memory, and a log that is kept until it is durable elsewhere."""

from __future__ import annotations

import resource
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from adapters.sources.postgres.slot import lsn_of
from pipeline.domain.change import SEQUENCE
from pipeline.domain.errors import SourceUnreachable
from pipeline.domain.position import Position
from pipeline.domain.stream import BatchLimits
from pipeline.ports.source import LogReader
from tests.support.postgres import Copy, Scene, begin, checkpoint, stream, wait_for

pytestmark = pytest.mark.integration

TABLE = "CREATE TABLE t (id int PRIMARY KEY, note text)"


@pytest.fixture
def followed(scene: Scene) -> Copy:
    scene.sql(TABLE)
    return begin(scene.source(), [stream("t")])


def test_batches_close_at_the_row_limit_and_chain_without_gap(scene: Scene, followed: Copy) -> None:
    for number in range(30):
        scene.sql("INSERT INTO t SELECT n, 'x' FROM generate_series(%s::int, %s::int) n", number * 10, number * 10 + 9)

    followed.follow(scene.source(), limits=BatchLimits(rows=25, age_s=60))

    assert followed.rows["t"] == scene.rows("t")
    counts = [batch.row_count for batch in followed.batches if not batch.is_empty]
    assert sum(counts) == 300
    assert all(count % 10 == 0 for count in counts)
    assert max(counts) <= 30
    assert [batch.transaction_count for batch in followed.batches if not batch.is_empty] == [n // 10 for n in counts]


def test_a_single_change_comes_at_once(scene: Scene, followed: Copy) -> None:
    source = scene.source()
    with source.read(checkpoint(followed.position), followed.streams, limits=BatchLimits(age_s=30)) as reader:
        reader.next(0.2)
        waits = []
        for number in range(10):
            scene.sql("INSERT INTO t VALUES (%s, 'x')", number)
            committed = time.monotonic()
            while True:
                batch = reader.next(5)
                assert batch is not None
                if not batch.is_empty:
                    break
            waits.append(time.monotonic() - committed)

    assert sorted(waits)[5] < 0.5


def test_what_was_not_acknowledged_comes_again_the_same(scene: Scene, followed: Copy) -> None:
    source = scene.source()
    scene.sql("INSERT INTO t SELECT n, 'x' FROM generate_series(1, 50) n")
    scene.sql("UPDATE t SET note = 'y'")
    end = source.mark()
    first = Copy(followed.streams, followed.position, {"t": {}}).read(source, up_to=end, acknowledges=False)
    second = Copy(followed.streams, followed.position, {"t": {}}).read(source, up_to=end, acknowledges=False)

    assert first.changes == second.changes
    assert len(first.changes) == 100
    assert scene.confirmed() == followed.position.parts["lsn"]


def test_only_what_was_acknowledged_is_confirmed_whatever_keepalives_say(scene: Scene, followed: Copy) -> None:
    scene.sql("ALTER SYSTEM SET wal_sender_timeout = '3s'")
    scene.sql("SELECT pg_reload_conf()")
    wait_for(lambda: scene.sql("SHOW wal_sender_timeout") == [("3s",)])
    try:
        source = scene.source()
        with source.read(checkpoint(followed.position), followed.streams, limits=BatchLimits()) as reader:
            scene.sql("INSERT INTO t VALUES (1, 'x')")
            batch = reader.next(10)
            while batch is not None and batch.is_empty:
                batch = reader.next(10)
            assert batch is not None
            # Three time-outs long the load takes: the server hears from us all the while (H8).
            deadline = time.monotonic() + 9
            while time.monotonic() < deadline:
                scene.sql("SELECT pg_logical_emit_message(true, 'app', '')")
                assert scene.confirmed() == followed.position.parts["lsn"]
            reader.acknowledge(batch.up_to)
            wait_for(lambda: scene.confirmed() == batch.up_to.parts["lsn"])
    finally:
        scene.sql("ALTER SYSTEM RESET wal_sender_timeout")
        scene.sql("SELECT pg_reload_conf()")


def test_an_acknowledgement_right_before_closing_still_arrives(scene: Scene, followed: Copy) -> None:
    scene.sql("INSERT INTO t VALUES (1, 'x')")
    followed.follow(scene.source())

    assert scene.confirmed() == followed.position.parts["lsn"]


def test_batches_without_changes_tell_all_the_log_that_they_pass_over(scene: Scene, followed: Copy) -> None:
    source = scene.source()
    scene.sql("SELECT pg_logical_emit_message(true, 'app', '')")  # sent as a transaction that holds no row
    scene.sql("CREATE TABLE noise AS SELECT repeat('x', 900) AS note FROM generate_series(1, 5000)")
    followed.follow(source)

    assert all(batch.is_empty for batch in followed.batches)
    passed = [lsn_of(batch.up_to) - lsn_of(batch.after) for batch in followed.batches]
    assert [batch.byte_count for batch in followed.batches] == passed
    assert sum(passed) > 4_000_000


def test_an_idle_reader_moves_on_while_others_write(scene: Scene, followed: Copy) -> None:
    scene.sql("CREATE TABLE noise (id int)")
    source = scene.source()
    with source.read(checkpoint(followed.position), followed.streams, limits=BatchLimits()) as reader:
        scene.sql("INSERT INTO noise SELECT generate_series(1, 20000)")
        end = scene.sql("SELECT pg_current_wal_flush_lsn() - '0/0'::pg_lsn")[0][0]

        def is_passed() -> bool:
            batch = reader.next(0.2)
            if batch is not None:
                assert batch.is_empty
                followed.take(batch)
                reader.acknowledge(batch.up_to)
            return int(followed.position.parts["lsn"]) >= end

        wait_for(is_passed)
        wait_for(lambda: scene.confirmed() >= end)


def test_a_heartbeat_moves_an_idle_server(scene: Scene, followed: Copy) -> None:
    source = scene.source(heartbeat_s=1, silence_timeout_s=5)
    with source.read(checkpoint(followed.position), followed.streams, limits=BatchLimits()) as reader:
        seen = set()

        def has_moved_thrice() -> bool:
            batch = reader.next(0.2)
            if batch is not None:
                assert batch.is_empty
                seen.add(batch.up_to)
            return len(seen) >= 3

        wait_for(has_moved_thrice)


def test_up_to_leaves_later_transactions_for_the_next_reader(scene: Scene, followed: Copy) -> None:
    source = scene.source()
    scene.sql("INSERT INTO t VALUES (1, 'before')")
    # Beyond the first transaction's end, and not by mark(), whose own message would come in between.
    scene.sql("CREATE TABLE noise (id int)")
    end = Position({"lsn": int(scene.sql("SELECT pg_current_wal_insert_lsn() - '0/0'::pg_lsn")[0][0])})
    scene.sql("INSERT INTO t VALUES (2, 'after')")

    followed.read(source, up_to=end)
    assert set(followed.rows["t"]) == {(1,)}
    assert followed.position == end
    followed.follow(source)

    assert followed.rows["t"] == scene.rows("t")


def test_a_large_transaction_waits_on_disk_in_bounded_memory(scene: Scene, followed: Copy) -> None:
    source = scene.source(buffer_bytes=1_000_000)
    scene.sql("INSERT INTO t VALUES (0, 'before')")
    scene.sql("INSERT INTO t SELECT n, repeat(md5(n::text), 8) FROM generate_series(1, 100000) n")
    scene.sql("INSERT INTO t VALUES (-1, 'after')")
    end = source.mark()
    limits = BatchLimits(spill_bytes=2_000_000, rows=1000)
    before_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    row_count, ids, sequences, position = 0, 0, set(), followed.position
    with source.read(checkpoint(position), followed.streams, limits=limits, up_to=end) as reader:
        counts = []
        while position != end:
            batch = reader.next(30)
            if batch is None:
                continue  # in the middle of the large one
            counts.append(batch.row_count)
            assert batch.after == position
            for piece in batch.pieces:
                row_count += piece.row_count
                ids += sum(piece.table.column("id").to_pylist())
                sequences.update(piece.table.column(SEQUENCE).slice(0, 1).to_pylist())
            if batch.row_count == 100_000:
                assert list(scene.folder.rglob("*.arrow")) != []
                assert batch.schemas == {"t": (source.schemas([stream("t")])["t"],)}
            position = batch.up_to
            reader.acknowledge(position)

    assert [count for count in counts if count] == [1, 100_000, 1]
    assert (row_count, ids) == (100_002, 100_000 * 100_001 // 2 - 1)
    # The transaction is 40 MB of log; what is decoded at once is a part of that.
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kb < 100_000
    assert list(scene.folder.rglob("*.arrow")) == []


def test_a_spilled_batch_can_be_read_after_the_next_was_taken(scene: Scene, followed: Copy) -> None:
    source = scene.source()
    scene.sql("INSERT INTO t SELECT n, 'x' FROM generate_series(1, 5000) n")
    scene.sql("INSERT INTO t VALUES (0, 'next')")
    end = source.mark()
    limits = BatchLimits(spill_bytes=1000)
    with source.read(checkpoint(followed.position), followed.streams, limits=limits, up_to=end) as reader:
        taken = []
        while not taken or taken[-1].up_to != end:
            batch = reader.next(10)
            taken += [batch] if batch else []
        for batch in taken:
            followed.take(batch)
        assert list(scene.folder.rglob("*.arrow")) != []
        reader.acknowledge(end)
        assert list(scene.folder.rglob("*.arrow")) == []

    assert followed.rows["t"] == scene.rows("t")


def test_files_of_a_run_that_was_killed_are_removed(scene: Scene, followed: Copy) -> None:
    left = scene.folder / scene.slot / "spill-left" / "0.arrow"
    left.parent.mkdir(parents=True)
    left.write_bytes(b"")

    followed.follow(scene.source())

    assert not left.parent.exists()


def test_a_reader_that_is_not_read_from_stops_reading_ahead(scene: Scene, followed: Copy) -> None:
    source = scene.source(buffer_bytes=200_000)
    scene.sql("INSERT INTO t SELECT n, repeat('x', 1000) FROM generate_series(1, 50000) n")
    with source.read(checkpoint(followed.position), followed.streams, limits=BatchLimits()) as reader:
        waiting = "SELECT wait_event FROM pg_stat_activity WHERE backend_type = 'walsender' AND datname = %s"
        blocked = 0

        def is_blocked_for_good() -> bool:
            nonlocal blocked
            blocked = blocked + 1 if scene.sql(waiting, scene.database) == [("WalSenderWriteData",)] else 0
            return blocked == 40

        wait_for(is_blocked_for_good)
        batch = reader.next(20)
        while batch is not None and batch.is_empty:
            batch = reader.next(20)
        assert batch is not None
        assert batch.row_count == 50_000


def test_a_connection_that_the_server_ends_is_unreachable(scene: Scene, followed: Copy) -> None:
    source = scene.source()
    with source.read(checkpoint(followed.position), followed.streams, limits=BatchLimits()) as reader:
        scene.sql("SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE slot_name = %s", scene.slot)
        with pytest.raises(SourceUnreachable):
            _exhaust(reader)


def test_a_connection_that_dies_silently_is_noticed(scene: Scene, followed: Copy) -> None:
    with _wire(scene.server.port) as wire:
        source = scene.source(
            dsn=None, host="127.0.0.1", port=wire.port, user="postgres", dbname=scene.database,
            password=scene.server.password, silence_timeout_s=3, heartbeat_s=0,
        )  # fmt: skip
        with source.read(checkpoint(followed.position), followed.streams, limits=BatchLimits()) as reader:
            reader.next(0.1)
            wire.cut.set()
            started = time.monotonic()
            with pytest.raises(SourceUnreachable, match="said nothing"):
                _exhaust(reader)
            assert time.monotonic() - started < 60


def _exhaust(reader: LogReader) -> None:
    while True:
        reader.next(5)


class _Wire:
    """Passes bytes between us and the server until it is cut, then swallows them."""

    def __init__(self, port: int) -> None:
        self.cut = threading.Event()
        self._target = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._sockets = [self._listener]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        for opened in self._sockets:
            opened.close()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            far = socket.create_connection(("127.0.0.1", self._target))
            self._sockets += [near, far]
            for one, other in ((near, far), (far, near)):
                threading.Thread(target=self._pass, args=(one, other), daemon=True).start()

    def _pass(self, one: socket.socket, other: socket.socket) -> None:
        try:
            while data := one.recv(65536):
                if not self.cut.is_set():
                    other.sendall(data)
            if not self.cut.is_set():
                other.shutdown(socket.SHUT_WR)
        except OSError:
            return


@contextmanager
def _wire(port: int) -> Iterator[_Wire]:
    wire = _Wire(port)
    try:
        yield wire
    finally:
        wire.close()


def test_a_crash_in_the_middle_of_a_large_transaction_loses_nothing(scene: Scene, followed: Copy) -> None:
    source = scene.source()
    scene.sql("INSERT INTO t SELECT n, 'x' FROM generate_series(1, 100000) n")
    with source.read(
        checkpoint(followed.position), followed.streams, limits=BatchLimits(spill_bytes=100_000)
    ) as reader:
        reader.next(0)  # a part of it has come, and is forgotten

    followed.follow(source, limits=BatchLimits(spill_bytes=100_000))

    assert followed.rows["t"] == scene.rows("t")
