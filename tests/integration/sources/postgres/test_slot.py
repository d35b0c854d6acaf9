"""The slot and the checkpoint may disagree, and somebody else may hold the slot: each case says what it is."""

from __future__ import annotations

import threading

import attrs
import psycopg
import pytest

from pipeline.domain.errors import LogLost, SourceRejected
from pipeline.domain.position import Position
from pipeline.domain.stream import BatchLimits
from pipeline.ports.source import LogStatus
from tests.support.postgres import Copy, Scene, begin, checkpoint, stream, wait_for

pytestmark = pytest.mark.integration


@pytest.fixture
def followed(scene: Scene) -> Copy:
    scene.sql("CREATE TABLE t (id int PRIMARY KEY, note text)")
    return begin(scene.source(), [stream("t")])


def _case(scene: Scene, position: Position) -> tuple[object, str]:
    """The case and its words, the same from ``check`` and from ``read``."""
    source = scene.source()
    with pytest.raises(LogLost) as checked:
        source.check(checkpoint(position))
    with pytest.raises(LogLost) as opened:
        source.read(checkpoint(position), {"t": (stream("t"), position)}, limits=BatchLimits())
    assert checked.value.facts["case"] == opened.value.facts["case"]
    assert checked.value.hint
    return checked.value.facts["case"], checked.value.what


def test_a_dropped_slot_is_missing(scene: Scene, followed: Copy) -> None:
    scene.sql("SELECT pg_drop_replication_slot(%s)", scene.slot)

    assert _case(scene, followed.position) == (
        "missing",
        "the replication slot does not exist: it was dropped, or did not survive a failover",
    )
    assert scene.source().log().status is LogStatus.MISSING


def test_a_slot_whose_log_was_thrown_away_is_invalidated(scene: Scene, followed: Copy) -> None:
    scene.sql("ALTER SYSTEM SET max_slot_wal_keep_size = '1MB'")
    scene.sql("SELECT pg_reload_conf()")
    wait_for(lambda: scene.sql("SHOW max_slot_wal_keep_size") == [("1MB",)])
    try:

        def is_lost() -> bool:
            scene.sql("SELECT pg_logical_emit_message(false, 'fill', repeat('x', 20000000))")
            scene.sql("SELECT pg_switch_wal()")
            scene.sql("CHECKPOINT")
            return scene.source().log().status is LogStatus.LOST

        wait_for(is_lost, timeout_s=20)
        case, what = _case(scene, followed.position)
    finally:
        scene.sql("ALTER SYSTEM RESET max_slot_wal_keep_size")
        scene.sql("SELECT pg_reload_conf()")

    assert (case, what) == (
        "invalidated",
        "the server has invalidated the replication slot and thrown away log that was not read yet",
    )


def test_a_slot_that_somebody_moved_on_is_ahead(scene: Scene, followed: Copy) -> None:
    scene.sql("INSERT INTO t VALUES (1, 'lost')")
    scene.sql("SELECT pg_replication_slot_advance(%s, pg_current_wal_lsn())", scene.slot)

    assert _case(scene, followed.position)[0] == "ahead"


def test_a_server_whose_log_ends_before_the_checkpoint_is_older(scene: Scene, followed: Copy) -> None:
    lsn = followed.position.parts["lsn"]
    assert isinstance(lsn, int)

    assert _case(scene, Position({"lsn": lsn + 10**12}))[0] == "older"


def test_a_slot_behind_the_checkpoint_is_normal_and_nothing_comes_twice(scene: Scene, followed: Copy) -> None:
    source = scene.source()
    scene.sql("INSERT INTO t VALUES (1, 'x')")
    followed.read(source, up_to=source.mark(), acknowledges=False)
    assert scene.confirmed() < int(followed.position.parts["lsn"])
    scene.sql("INSERT INTO t VALUES (2, 'y')")

    state = source.check(checkpoint(followed.position))
    followed.follow(source)

    assert state.status is LogStatus.READY
    assert state.held_bytes is not None
    assert state.held_bytes > 0
    assert followed.labels() == [("t", "insert"), ("t", "insert")]
    assert followed.rows["t"] == scene.rows("t")


def test_a_second_reader_waits_and_then_is_told_who_reads(scene: Scene, followed: Copy) -> None:
    with scene.source().read(checkpoint(followed.position), followed.streams, limits=BatchLimits()):
        other = scene.source(slot_wait_s=0.3)
        with pytest.raises(SourceRejected) as refused:
            other.read(checkpoint(followed.position), followed.streams, limits=BatchLimits())
        [(pid,)] = scene.sql("SELECT active_pid FROM pg_replication_slots WHERE slot_name = %s", scene.slot)

        assert refused.value.facts["pid"] == pid
        assert other.log().status is LogStatus.ACTIVE


def test_a_second_reader_gets_in_once_the_first_has_left(scene: Scene, followed: Copy) -> None:
    first = scene.source().read(checkpoint(followed.position), followed.streams, limits=BatchLimits())
    leaving = threading.Timer(0.5, first.close)
    leaving.start()
    with scene.source(slot_wait_s=20).read(checkpoint(followed.position), followed.streams, limits=BatchLimits()):
        leaving.join()
    first.close()


def test_begin_is_refused_while_the_log_is_kept_and_allowed_after_forget(scene: Scene, followed: Copy) -> None:
    source = scene.source()
    with pytest.raises(SourceRejected):
        source.begin([stream("t")], epoch=1)
    assert source.log().status is LogStatus.READY

    source.forget()
    source.forget()
    with source.begin([stream("t")], epoch=2) as snapshot:
        assert list(snapshot.read("t")) == []


def test_a_begin_that_fails_leaves_no_slot(scene: Scene) -> None:
    scene.sql("CREATE TABLE t (id int PRIMARY KEY)")
    source = scene.source(slot_create_timeout_s=0.5)
    source.prepare([stream("t")])
    with scene.connect() as writer:
        writer.execute("INSERT INTO t VALUES (1)")
        with pytest.raises(SourceRejected, match="1 open transaction"):
            source.begin([stream("t")], epoch=1)

    wait_for(lambda: source.log().status is LogStatus.MISSING)


def test_no_secret_reaches_an_error(scene: Scene) -> None:
    secret = "canary-4711"
    source = scene.source(dsn=attrs.evolve(scene).server.dsn(scene.database, password=secret))
    with pytest.raises(SourceRejected) as refused:
        source.log()

    error: BaseException | None = refused.value
    shown = [repr(error), str(error), str(refused.value.facts), repr(source._options)]
    assert all(secret not in text for text in shown)
    assert refused.value.__cause__ is None
    assert not isinstance(error, psycopg.Error)
