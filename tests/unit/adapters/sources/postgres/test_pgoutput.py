"""Real logs become the change batches that the scenarios ask for: rows, keys and unchanged values."""

from __future__ import annotations

from decimal import Decimal

import attrs
import pytest

from adapters.sources.postgres.pgoutput import Decoder
from adapters.sources.postgres.relation import RelationMessage, TrackedRelation
from pipeline.domain.position import Sequence as RowSequence
from tests.support.decoding import Record, brief, decode, rows

pytestmark = pytest.mark.integration

#: More than a page can hold even compressed, so that it is stored out of line.
_LARGE = "(select string_agg(md5(g::text), '') from generate_series(1, 40000) g)"


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
