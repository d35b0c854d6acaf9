"""Real logs become the change batches that the scenarios ask for."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from decimal import Decimal
from typing import Any

import attrs
import pyarrow as pa
import pytest

from adapters.sources.postgres import pgoutput
from adapters.sources.postgres.messages import read_relation
from adapters.sources.postgres.pgoutput import Decoded, Decoder
from adapters.sources.postgres.relation import RelationMessage, TrackedRelation
from pipeline.domain.change import Operation, change_schema
from pipeline.domain.errors import SourceError
from pipeline.domain.position import Sequence as RowSequence
from pipeline.domain.schema import Column, StreamSchema
from tests.support import pgoutput_oracle
from tests.support.pglog import Recorder, xlog

pytestmark = pytest.mark.integration

Record = Callable[..., AbstractContextManager[Recorder]]

#: More than a page can hold even compressed, so that it is stored out of line.
_LARGE = "(select string_agg(md5(g::text), '') from generate_series(1, 40000) g)"


def decode(recorder: Recorder, *, since: int = 0) -> Decoded:
    """The whole recording in one feed, checked against the oracle."""
    frames = recorder.frames()
    decoded = Decoder(epoch=2, resolve=recorder.resolver(since=since)).feed(frames)
    expected = pgoutput_oracle.decode(frames, lambda _, text: recorder.track(read_relation(text), since=since), epoch=2)
    assert rows(decoded) == expected
    return decoded


def rows(decoded: Decoded, stream: str | None = None) -> Any:
    """The rows of each stream (or one) as dicts, the form of each table checked."""
    found: dict[str, list[dict[str, Any]]] = {}
    for piece in decoded.pieces:
        assert piece.table.schema == change_schema(piece.schema)
        piece.table.validate(full=True)
        found.setdefault(piece.stream, []).extend(piece.table.to_pylist())
    assert sum(map(len, found.values())) == decoded.row_count
    return found if stream is None else found[stream]


def brief(decoded: Decoded, stream: str, *names: str) -> list[tuple[Any, ...]]:
    """Operation labels and some columns of a stream's rows."""
    return [(Operation(row["_cdc_op"]).label, *(row[name] for name in names)) for row in rows(decoded, stream)]


def test_inserts_updates_and_deletes_become_rows_in_commit_order(record: Record) -> None:
    with record("create table t (id int primary key, name text, paid numeric(8, 2))") as log:
        log.run("insert into t values (1, 'a', 1.5), (2, '', null)", "update t set paid = 2 where id = 2")
        log.run("delete from t where id = 1")

        decoded = decode(log)

    assert brief(decoded, "t", "id", "name", "paid", "_cdc_unchanged", "_cdc_old_key") == [
        ("insert", 1, "a", Decimal("1.50"), None, None),
        ("insert", 2, "", None, None, None),
        ("update", 2, "", Decimal("2.00"), None, None),
        ("delete", 1, None, None, None, None),
    ]
    sequences = [RowSequence.unpack(int(row["_cdc_sequence"])) for row in rows(decoded, "t")]
    first, second, third = decoded.commit_lsn.tolist()
    assert sequences == [
        RowSequence(2, first, 1, ordinal=0),
        RowSequence(2, first, 1, ordinal=1),
        RowSequence(2, second, 1, ordinal=0),
        RowSequence(2, third, 1, ordinal=0),
    ]
    assert (decoded.end_lsn > decoded.commit_lsn).all()
    assert decoded.commit_lsn[1:].tolist() > decoded.end_lsn[:-1].tolist()
    stamps = [row["_cdc_commit_at"].timestamp() * 1e6 for row in rows(decoded, "t")]
    assert stamps == pytest.approx(decoded.commit_at[[0, 0, 1, 2]].tolist(), abs=1)
    assert decoded.open is False


def test_an_unchanged_toasted_value_is_named_and_one_set_to_null_is_not(record: Record) -> None:
    with record("create table t (id int primary key, doc text, doc2 text, n int)") as log:
        log.run(f"insert into t select 1, doc, doc from {_LARGE} as x(doc)", "update t set n = 1")
        log.run("update t set doc = null", "update t set id = 5, n = 2")

        found = rows(decode(log), "t")

    assert [(row["n"], row["doc"] is None, row["_cdc_unchanged"], row["_cdc_old_key"]) for row in found] == [
        (None, False, None, None),
        (1, True, ["doc", "doc2"], None),
        (1, True, ["doc2"], None),
        (2, True, ["doc2"], {"id": 1}),
    ]
    assert len(found[0]["doc"]) == 40000 * 32


def test_with_the_full_old_row_an_unchanged_value_is_taken_from_it(record: Record) -> None:
    with record("create table t (id int primary key, doc text, n int)", "alter table t replica identity full") as log:
        log.run(f"insert into t values (1, {_LARGE}, 1)", "update t set n = 2", "update t set id = 3", "delete from t")

        found = rows(decode(log), "t")

    assert [(len(row["doc"]), row["n"], row["_cdc_unchanged"], row["_cdc_old_key"]) for row in found] == [
        (1_280_000, 1, None, None),
        (1_280_000, 2, None, None),
        (1_280_000, 2, None, {"id": 1}),
        (1_280_000, 2, None, None),
    ]


def test_a_toasted_key_that_stays_is_taken_from_the_old_key(record: Record) -> None:
    with record("create table t (id text primary key, n int)", "alter table t alter id set storage external") as log:
        key = "repeat('k', 2600)"
        log.run(f"insert into t values ({key}, 1)", "update t set n = 2")

        assert brief(decode(log), "t", "id", "n", "_cdc_unchanged", "_cdc_old_key") == [
            ("insert", "k" * 2600, 1, None, None),
            ("update", "k" * 2600, 2, None, None),
        ]


def test_two_keys_are_swapped_through_a_third(record: Record) -> None:
    with record("create table t (id int primary key, name text)", "insert into t values (1, 'a'), (2, 'b')") as log:
        moves = "; ".join(f"update t set id = {new} where id = {old}" for old, new in ((1, 3), (2, 1), (3, 2)))
        log.run(f"begin; {moves}; commit")

        assert brief(decode(log), "t", "id", "name", "_cdc_old_key") == [
            ("update", 3, "a", {"id": 1}),
            ("update", 1, "b", {"id": 2}),
            ("update", 2, "a", {"id": 3}),
        ]


def test_delete_and_insert_of_one_key_in_one_transaction_keep_their_order(record: Record) -> None:
    with record("create table t (id int primary key, name text)", "insert into t values (1, 'a')") as log:
        log.run("begin; delete from t; insert into t values (1, 'b'); commit")

        assert brief(decode(log), "t", "id", "name") == [("delete", 1, None), ("insert", 1, "b")]


def test_a_table_without_a_key_gives_whole_rows(record: Record) -> None:
    with record("create table t (x float8, y text)", "alter table t replica identity full") as log:
        log.run("insert into t values (1, 'a'), (1, 'a')", "delete from t where ctid = '(0,1)'")

        decoded = decode(log)

    assert brief(decoded, "t", "x", "y") == [("insert", 1, "a"), ("insert", 1, "a"), ("delete", 1, "a")]
    assert "_cdc_old_key" not in decoded.pieces[0].table.column_names


def test_the_replica_identity_may_change_while_the_log_is_read(record: Record) -> None:
    with record("create table t (id int primary key, name text, n int)") as log:
        log.run("insert into t values (1, 'a', 0), (2, 'b', 0), (3, 'c', 0)", "update t set id = 11 where id = 1")
        log.run("alter table t replica identity full", "update t set id = 12 where id = 2", "update t set n = 1")
        log.run("delete from t where id = 11", "alter table t replica identity default")
        log.run("update t set id = 13 where id = 3", "delete from t where id = 12")

        decoded = decode(log)

    assert brief(decoded, "t", "id", "name", "_cdc_old_key")[3:] == [
        ("update", 11, "a", {"id": 1}),
        ("update", 12, "b", {"id": 2}),
        ("update", 3, "c", None),
        ("update", 11, "a", None),
        ("update", 12, "b", None),
        ("delete", 11, "a", None),
        ("update", 13, "c", {"id": 3}),
        ("delete", 12, None, None),
    ]
    assert len(decoded.pieces) == 1


def test_composite_keys_that_look_alike_stay_different(record: Record) -> None:
    keys = ["", " ", "a", "A", "a ", "\u00e9", "e\u0301"]
    with record("create table t (x text, y text, primary key (y, x))") as log:
        for key in keys:
            log.connection.execute("insert into t values (%s, '')", [key])
        log.run("update t set y = x || '.'")

        found = rows(decode(log), "t")

    assert [(row["x"], row["y"], row["_cdc_old_key"]) for row in found] == [
        *((key, "", None) for key in keys),
        *((key, f"{key}.", {"y": "", "x": key}) for key in keys),
    ]


def test_nan_does_not_pass_for_a_changed_key(record: Record) -> None:
    with record("create table t (x float8 primary key, n numeric)", "alter table t replica identity full") as log:
        log.run("insert into t values ('NaN', 1), (0, 1)", "update t set n = 2", "update t set x = '-0' where x = 0")
        log.run("update t set x = 5 where x = 'NaN'", "delete from t")
        frames = log.frames()

        found = rows(Decoder(epoch=0, resolve=log.resolver()).feed(frames), "t")

    old = [row["_cdc_old_key"] for row in found]
    assert [str(each and each["x"]) for each in old] == ["None"] * 5 + ["nan"] + ["None"] * 2


def test_a_null_that_stays_null_is_no_changed_key(record: Record) -> None:
    with record("create table t (x int, y int)", "alter table t replica identity full") as log:
        log.run("insert into t values (null, 1)", "update t set y = 2", "update t set x = 3", "update t set x = null")
        frames = log.frames()

        def resolve(message: RelationMessage) -> TrackedRelation:
            tracked = log.track(message)
            return attrs.evolve(tracked, schema=attrs.evolve(tracked.schema, key=("x",)))

        decoded = Decoder(epoch=0, resolve=resolve).feed(frames)

    assert brief(decoded, "t", "x", "y", "_cdc_old_key") == [
        ("insert", None, 1, None),
        ("update", None, 2, None),
        ("update", 3, 2, {"x": None}),
        ("update", None, 2, {"x": 3}),
    ]


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


def test_generated_columns_are_those_of_the_message(record: Record) -> None:
    with record("create table t (id int primary key, double int generated always as (id * 2) stored)") as log:
        log.run("insert into t (id) values (4)")

        assert rows(decode(log), "t")[0].keys() >= {"id"}
        assert "double" not in rows(decode(log), "t")[0]


@pytest.mark.parametrize("server", [18], indirect=True, ids=["postgres18"])
def test_stored_generated_columns_are_published_from_version_18(record: Record) -> None:
    table = "create table t (id int primary key, double int generated always as (id * 2) stored)"
    with record(table, options={"publish_generated_columns": "stored"}) as log:
        log.run("insert into t (id) values (4)")

        assert brief(decode(log), "t", "id", "double") == [("insert", 4, 8)]


def test_a_new_piece_begins_where_the_schema_changes(record: Record) -> None:
    with record("create table t (id int primary key)") as log:
        log.run("begin; insert into t values (1); alter table t add n int; insert into t values (2, 2); commit")
        log.run("insert into t values (3, 3)", "alter table t rename n to m", "insert into t values (4, 4)")
        frames = log.frames()
        known: dict[tuple[str, ...], TrackedRelation] = {}

        def resolve(message: RelationMessage) -> TrackedRelation:
            names = tuple(column.name for column in message.columns)
            columns = [Column(name, pa.int32()) for name in names]
            made = TrackedRelation("t", StreamSchema(columns, ("id",)), columns=tuple(columns), since=0)
            return known.setdefault(names, made)

        pieces = Decoder(epoch=0, resolve=resolve).feed(frames).pieces

    assert [(piece.schema.names, [row["id"] for row in piece.table.to_pylist()]) for piece in pieces] == [
        (("id",), [1]),
        (("id", "n"), [2, 3]),
        (("id", "m"), [4]),
    ]


def test_partitions_that_feed_one_stream_are_merged_in_log_order(record: Record) -> None:
    parts = [f"create table t{i} partition of t for values in ({i})" for i in (0, 1, 2)]
    with record("create table t (p int, id int, d date, primary key (p, id)) partition by list (p)", *parts) as log:
        log.run(
            "insert into t select g % 3, g, date '2024-01-01' + g from generate_series(1, 6) g",
            "insert into t values (1, 7, 'infinity')",
            "insert into t select g % 3, g, date '2024-01-01' + g from generate_series(8, 20) g",
        )
        log.run("truncate t1", "insert into t values (1, 100, 'infinity')")
        frames = log.frames()

        def resolve(message: RelationMessage) -> TrackedRelation:
            return attrs.evolve(log.track(message), stream="t")

        decoded = Decoder(epoch=0, resolve=resolve).feed(frames)

    [piece] = decoded.pieces
    assert [row["id"] for row in rows(decoded, "t")] == [*range(1, 21), None, 100]
    sequences = [row["_cdc_sequence"] for row in rows(decoded, "t")]
    assert sequences == sorted(sequences)
    assert [(m.column, m.rows.to_pylist(), m.texts.to_pylist()) for m in piece.misfits] == [
        ("d", [6, 21], ["infinity", "infinity"])
    ]
    assert [piece.table["d"][row].is_valid for row in (5, 6, 7, 21)] == [True, False, True, False]


def test_changes_before_the_consistent_point_are_only_counted(record: Record) -> None:
    with record("create table t (id int primary key)") as log:
        log.run("insert into t values (1), (2)", "truncate t", "insert into t values (3)", "insert into t values (4)")
        third = int(Decoder(epoch=0, resolve=log.resolver()).feed(log.frames()).commit_lsn[2])

        decoded = decode(log, since=third)

    assert brief(decoded, "t", "id") == [("insert", 3), ("insert", 4)]
    assert decoded.covered_counts == {"t": 3}
    assert decoded.row_count == 2


def test_relations_that_nobody_wants_leave_no_trace_but_their_numbers(record: Record) -> None:
    with record("create table t (id int primary key)", "create table other (x text primary key)") as log:
        log.run("begin; insert into other values ('a'), ('b'); insert into t values (1); truncate other; commit")
        frames = log.frames()
        seen: list[str] = []

        def resolve(message: RelationMessage) -> TrackedRelation | None:
            seen.append(message.name)
            return log.track(message) if message.name == "t" else None

        decoded = Decoder(epoch=0, resolve=resolve).feed(frames)

    assert {piece.stream for piece in decoded.pieces} == {"t"}
    assert set(seen) == {"t", "other"}
    [row] = rows(decoded, "t")
    assert RowSequence.unpack(int(row["_cdc_sequence"])).ordinal == 2


def test_columns_left_out_are_skipped(record: Record) -> None:
    with record("create table t (id int primary key, secret text, doc text, n int)") as log:
        log.run(f"insert into t values (1, 'x', {_LARGE}, 1)", "update t set n = 2", "update t set id = 4")
        frames = log.frames()

        def resolve(message: RelationMessage) -> TrackedRelation:
            tracked = log.track(message)
            kept = [column if column and column.name in ("id", "n") else None for column in tracked.columns]
            schema = StreamSchema([column for column in kept if column], ("id",))
            return TrackedRelation("t", schema, columns=tuple(kept), since=0)

        decoded = Decoder(epoch=0, resolve=resolve).feed(frames)

    assert brief(decoded, "t", "id", "n", "_cdc_unchanged", "_cdc_old_key") == [
        ("insert", 1, 1, None, None),
        ("update", 1, 2, None, None),
        ("update", 4, 2, None, {"id": 1}),
    ]
    assert decoded.pieces[0].schema.names == ("id", "n")


def test_a_value_that_does_not_fit_is_set_apart_with_its_text(record: Record) -> None:
    with record("create table t (id int primary key, amount numeric, day date)") as log:
        log.run("insert into t values (1, 1.5, '2024-01-01'), (2, 'NaN', 'infinity'), (3, 1e40, null)")
        [piece] = Decoder(epoch=0, resolve=log.resolver()).feed(log.frames()).pieces

    assert piece.table["amount"].to_pylist() == [Decimal("1.5"), None, None]
    assert [(m.column, m.rows.to_pylist(), m.texts.to_pylist()) for m in piece.misfits] == [
        ("amount", [1], ["NaN"]),
        ("amount", [2], ["1" + "0" * 40]),
        ("day", [1], ["infinity"]),
    ]


def test_an_old_key_that_does_not_fit_is_set_apart(record: Record) -> None:
    with record("create table t (id numeric(1000, 0) primary key)") as log:
        log.run("insert into t values (1e300)", "update t set id = 7", "update t set id = 7.0")
        [piece] = Decoder(epoch=0, resolve=log.resolver()).feed(log.frames()).pieces

    assert piece.table["_cdc_old_key"].to_pylist() == [None, {"id": None}, None]
    assert [(m.column, m.rows.to_pylist(), m.texts[0].as_py()[:2]) for m in piece.misfits] == [
        ("id", [0], "10"),
        ("id", [1], "10"),
    ]


def test_a_delete_that_does_not_carry_the_key_is_set_apart(record: Record) -> None:
    setup = ["create table t (id int primary key, code int not null unique)", "insert into t values (1, 2)"]
    with record(*setup, "alter table t replica identity using index t_code_key") as log:
        log.run("delete from t")
        [piece] = Decoder(epoch=0, resolve=log.resolver()).feed(log.frames()).pieces

    assert [(m.column, m.rows.to_pylist(), m.texts.to_pylist(), m.reason) for m in piece.misfits] == [
        ("id", [0], [None], "key value that the log does not carry")
    ]


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


_BEGIN = xlog(struct.pack(">cQQI", b"B", 100, 0, 1))
_RELATION = xlog(
    b"R" + struct.pack(">I", 9) + b"public\0t\0d" + struct.pack(">H", 1) + b"\1id\0" + struct.pack(">Ii", 23, -1)
)


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
