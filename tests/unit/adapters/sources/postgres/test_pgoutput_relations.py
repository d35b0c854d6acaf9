"""What relations of the log mean: streams, schemas that change, partitions, columns and tables left out."""

from __future__ import annotations

import attrs
import pyarrow as pa
import pytest

from adapters.sources.postgres.pgoutput import Decoder
from adapters.sources.postgres.relation import RelationMessage, TrackedRelation
from pipeline.domain.position import Sequence as RowSequence
from pipeline.domain.schema import Column, StreamSchema
from tests.support.decoding import Record, brief, decode, rows

pytestmark = pytest.mark.integration

#: More than a page can hold even compressed, so that it is stored out of line.
_LARGE = "(select string_agg(md5(g::text), '') from generate_series(1, 40000) g)"


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
