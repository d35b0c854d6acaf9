"""The order of transactions, whatever else the log has between their rows, and however its frames are cut."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pytest

from adapters.sources.postgres import pgoutput
from adapters.sources.postgres.pgoutput import Decoded, Decoder
from adapters.sources.postgres.relation import TrackedRelation
from pipeline.domain.errors import SourceError
from pipeline.domain.position import Sequence as RowSequence
from pipeline.domain.schema import Column, StreamSchema
from tests.support.decoding import Record, brief, decode, rows
from tests.support.pglog import xlog

pytestmark = pytest.mark.integration

_BEGIN = xlog(struct.pack(">cQQI", b"B", 100, 0, 1))
_RELATION = xlog(
    b"R" + struct.pack(">I", 9) + b"public\0t\0d" + struct.pack(">H", 1) + b"\1id\0" + struct.pack(">Ii", 23, -1)
)


def test_a_truncate_keeps_its_place_in_its_transaction(record: Record) -> None:
    setup = ["create table t (id serial primary key, n int)", "create table u (id int primary key references t)"]
    with record(*setup) as log:
        log.run("begin; insert into t values (1, 1); insert into u values (1); truncate t restart identity cascade")
        log.run("insert into t values (2, 2); commit", "truncate u")

        decoded = decode(log)

    assert brief(decoded, "t", "id", "n") == [("insert", 1, 1), ("truncate", None, None), ("insert", 2, 2)]
    assert brief(decoded, "u", "id") == [("insert", 1), ("truncate", None), ("truncate", None)]
    ordinals = [
        RowSequence.unpack(int(row["_cdc_sequence"])).ordinal for stream in ("t", "u") for row in rows(decoded, stream)
    ]
    assert ordinals in ([0, 2, 4, 1, 3, 0], [0, 3, 4, 1, 2, 0])


def test_rows_of_a_rolled_back_savepoint_are_not_there(record: Record) -> None:
    with record("create table t (id int primary key)") as log:
        log.run("begin; insert into t values (1); savepoint a; insert into t values (2); rollback to a")
        log.run("savepoint b; insert into t values (3); release b; commit", "begin; insert into t values (4); rollback")

        assert brief(decode(log), "t", "id") == [("insert", 1), ("insert", 3)]


def test_logical_messages_are_reported_and_never_rows(record: Record) -> None:
    with record("create table t (id int primary key)") as log:
        log.run("select pg_logical_emit_message(false, 'out', 'x')")
        log.run("begin; insert into t values (1); select pg_logical_emit_message(true, 'in', '\\x00ff'::bytea); commit")
        log.run("select pg_logical_emit_message(true, 'alone', '')")

        decoded = decode(log)

    assert [(m.prefix, m.content, m.transactional) for m in decoded.messages] == [
        ("out", b"x", False),
        ("in", b"\x00\xff", True),
        ("alone", b"", True),
    ]
    assert [message.lsn for message in decoded.messages] == sorted(message.lsn for message in decoded.messages)
    assert (len(decoded.commit_lsn), decoded.row_count) == (2, 1)


def test_changes_before_the_consistent_point_are_only_counted(record: Record) -> None:
    with record("create table t (id int primary key)") as log:
        log.run("insert into t values (1), (2)", "truncate t", "insert into t values (3)", "insert into t values (4)")
        third = int(Decoder(epoch=0, resolve=log.resolver()).feed(log.frames()).commit_lsn[2])

        decoded = decode(log, since=third)

    assert brief(decoded, "t", "id") == [("insert", 3), ("insert", 4)]
    assert decoded.covered_counts == {"t": 3}
    assert decoded.row_count == 2


def test_the_same_rows_come_out_however_the_frames_are_fed(record: Record, monkeypatch: pytest.MonkeyPatch) -> None:
    with record("create table t (id int primary key, n int)", "create table u (id int primary key)") as log:
        log.run("begin; insert into t select g, g from generate_series(1, 50) g; insert into u values (1)")
        log.run("truncate u; update t set id = -id; commit", "delete from t", "insert into u values (2)")
        frames = log.frames()
        whole = decode(log)
        one_by_one = Decoder(epoch=2, resolve=log.resolver())
        single = [one_by_one.feed([frame]) for frame in frames]
        monkeypatch.setattr(pgoutput, "CHUNK_FRAMES", 7)
        small = Decoder(epoch=2, resolve=log.resolver()).feed(frames)
        monkeypatch.setattr(pgoutput, "CHUNK_BYTES", 1)
        tiny = Decoder(epoch=2, resolve=log.resolver()).feed(frames)

    assert _joined(single) == rows(whole)
    assert rows(small) == rows(tiny) == rows(whole)
    opened = [frame[25:26] not in (b"C",) for frame in frames]
    assert [part.open for part in single] == opened
    for part in (small, tiny):
        assert part.commit_lsn.tolist() == whole.commit_lsn.tolist()
        assert (part.end_lsn.tolist(), part.commit_at.tolist()) == (whole.end_lsn.tolist(), whole.commit_at.tolist())
        assert part.covered_counts == whole.covered_counts


def _joined(parts: Sequence[Decoded]) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    for part in parts:
        for stream, its in rows(part).items():
            found.setdefault(stream, []).extend(its)
    return found


def test_an_empty_feed_is_nothing() -> None:
    decoded = Decoder(epoch=0, resolve=lambda _: None).feed([])

    assert (decoded.pieces, decoded.open, decoded.row_count, len(decoded.commit_lsn)) == ((), False, 0, 0)


@pytest.mark.parametrize(
    "frames",
    [
        [b"k" + bytes(40)],
        [b"w" + bytes(10)],
        [xlog(b"S" + bytes(5))],
        [_BEGIN, xlog(b"I" + struct.pack(">I", 8) + b"N" + struct.pack(">H", 0))],
        [_BEGIN, _RELATION, xlog(b"I" + struct.pack(">I", 9) + b"N" + struct.pack(">H", 2) + b"nn")],
        [
            _BEGIN,
            _RELATION,
            xlog(b"I" + struct.pack(">I", 9) + b"N" + struct.pack(">H", 1) + b"b" + struct.pack(">I", 0)),
        ],
        [_BEGIN, _RELATION, xlog(b"I" + struct.pack(">I", 9) + b"N" + struct.pack(">H", 1) + b"n" + b"rest")],
        [_BEGIN, _RELATION, xlog(b"I" + struct.pack(">I", 9) + b"X" + struct.pack(">H", 1) + b"n")],
        [
            _BEGIN,
            _RELATION,
            xlog(b"I" + struct.pack(">I", 9) + b"N" + struct.pack(">H", 1) + b"t" + struct.pack(">I", 1 << 30)),
        ],
    ],
    ids=["keepalive", "short", "streamed", "undescribed", "columns", "binary", "trailing", "marker", "length"],
)
def test_what_is_not_the_protocol_is_refused(frames: list[bytes]) -> None:
    column = Column("id", pa.int32())
    tracked = TrackedRelation("t", StreamSchema([column], ("id",)), columns=(column,), since=0)

    with pytest.raises(SourceError):
        Decoder(epoch=0, resolve=lambda _: tracked).feed(frames)
