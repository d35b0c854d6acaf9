"""Waiting rows: what overtakes them, what closes them, what waits behind them, and what may be released."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import attrs
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.domain.change import OLD_KEY, OP, SEQUENCE, UNCHANGED, Operation
from pipeline.domain.contract import Contract, OnMisfit, Rule, RuleKind
from pipeline.domain.counts import StreamCounts
from pipeline.domain.limits import ValueLimits
from pipeline.domain.quarantine import (
    QUARANTINE_SCHEMA,
    REASON_BEHIND,
    SETTLED_SCHEMA,
    STATUS_CLOSED,
    STATUS_SUPERSEDED,
    STATUS_WAITING,
    Waiting,
    hold,
    judge,
    releasable,
    released_batch,
)
from pipeline.domain.schema import Column, StreamSchema
from tests.support.changes import Row, batch, change, changes, delete, insert, misfit, truncate, update

SCHEMA = StreamSchema((Column("id", pa.int64()), Column("a", pa.int64()), Column("b", pa.int64())), ("id",))
KEYLESS = attrs.evolve(SCHEMA, key=())
POSITIVE = Contract(rules=(Rule(RuleKind.RANGE, ("a",), minimum=0, name="positive"),), version="7")
ONE = Waiting(frozenset({'{"id":1}'}))
NOTHING = Waiting()


def judged(rows: list[Row], waiting: Waiting = NOTHING, schema: StreamSchema = SCHEMA) -> dict[str, Any]:
    """Which rows (numbered from 1) passed, which were quarantined for what, and what was settled."""
    result = judge(batch(schema, rows), POSITIVE, waiting)
    assert result.quarantined.schema == QUARANTINE_SCHEMA
    assert result.settled.schema == SETTLED_SCHEMA
    assert result.passed.num_rows + result.quarantined.num_rows == len(rows)
    quarantined = result.quarantined.to_pylist()
    return {
        "passed": [int(number) >> 46 for number in result.passed[SEQUENCE].to_pylist()],
        "quarantined": {int(row["sequence"]) >> 46: row["reasons"] for row in quarantined},
        "settled": [(row["key"], int(row["before"]) >> 46, row["status"]) for row in result.settled.to_pylist()],
        "waiting": sorted(result.waiting.keys),
    }


def test_a_delete_of_a_name_closes_what_waits_under_it_and_loads_nothing() -> None:
    schema = attrs.evolve(SCHEMA, key=("id", "a"))
    names = pa.array(["x.csv, line 2", "x.csv, line 3"], pa.string())
    named = attrs.evolve(misfit("a", {0: "", 2: ""}), names=names)
    piece = batch(schema, [delete(id=None, a=None), insert(id=1, a=1), insert(id=2, a=None)], misfits=(named,))
    earlier = '{"id":"x.csv, line 2","a":null}'
    result = judge(piece, Contract(on_misfit=OnMisfit.QUARANTINE), Waiting(frozenset({earlier})))
    assert result.passed["id"].to_pylist() == [1]
    assert result.quarantined["key"].to_pylist() == ['{"id":"x.csv, line 3","a":null}']
    assert [(row["key"], row["status"]) for row in result.settled.to_pylist()] == [(earlier, STATUS_CLOSED)]
    assert result.counts == StreamCounts(read_count=3, quarantined_count=1, discarded_count=1, misfit_count=1)
    assert judge(piece, Contract(on_misfit=OnMisfit.QUARANTINE), NOTHING).quarantined.num_rows == 1


def test_a_batch_without_a_fault_passes_as_it_is() -> None:
    piece = batch(SCHEMA, [insert(id=1, a=1, b=1)])
    result = judge(piece, POSITIVE, NOTHING)
    assert result.passed is piece.table
    assert result.counts == StreamCounts(read_count=1)
    assert result.waiting is NOTHING


def test_a_broken_row_is_written_down_with_its_reasons() -> None:
    result = judge(batch(SCHEMA, [insert(id=1, a=-1, b=None)]), POSITIVE, NOTHING)
    (row,) = result.quarantined.to_pylist()
    assert {name: row[name] for name in ("op", "key", "row", "reasons", "contract_version")} == {
        "op": "insert",
        "key": '{"id":1}',
        "row": '{"id":1,"a":-1,"b":null}',
        "reasons": ["positive"],
        "contract_version": "7",
    }
    assert result.counts == StreamCounts(read_count=1, quarantined_count=1)
    assert result.quarantined_reasons == {"positive": 1}


def test_a_later_complete_image_overtakes() -> None:
    assert judged([insert(id=1, a=-1), update(id=1, a=1), update(id=1, a=2)]) == {
        "passed": [2, 3],
        "quarantined": {1: ["positive"]},
        "settled": [('{"id":1}', 2, STATUS_SUPERSEDED)],
        "waiting": [],
    }


def test_an_update_with_unchanged_columns_waits_behind() -> None:
    assert judged([insert(id=1, a=-1), update(id=1, a=1, unchanged=["b"]), insert(id=2, a=1)]) == {
        "passed": [3],
        "quarantined": {1: ["positive"], 2: [REASON_BEHIND]},
        "settled": [],
        "waiting": ['{"id":1}'],
    }


def test_a_delete_closes() -> None:
    assert judged([delete(id=1), insert(id=1, a=1)], ONE) == {
        "passed": [1, 2],
        "quarantined": {},
        "settled": [('{"id":1}', 1, STATUS_CLOSED)],
        "waiting": [],
    }


def test_a_delete_closes_even_where_the_log_left_columns_out() -> None:
    assert judged([change(Operation.DELETE, id=1, unchanged=["b"])], ONE)["settled"] == [('{"id":1}', 1, STATUS_CLOSED)]


def test_a_truncate_closes_all() -> None:
    assert judged([insert(id=2, a=-1), truncate(), insert(id=2, a=1)], ONE) == {
        "passed": [2, 3],
        "quarantined": {1: ["positive"]},
        "settled": [(None, 2, STATUS_CLOSED)],
        "waiting": [],
    }


def test_a_key_change_from_or_to_a_waiting_key_waits_and_so_does_all_that_follows_on_both_keys() -> None:
    rows = [update(id=2, a=1, old={"id": 1}), update(id=2, a=2), insert(id=1, a=3), delete(id=2), insert(id=3, a=1)]
    assert judged(rows, ONE) == {
        "passed": [5],
        "quarantined": {number: [REASON_BEHIND] for number in (1, 2, 3, 4)},
        "settled": [],
        "waiting": ['{"id":1}', '{"id":2}'],
    }


def test_a_chain_of_key_changes_waits_as_a_whole() -> None:
    rows = [
        update(id=2, a=-1, old={"id": 1}),
        update(id=3, a=1, old={"id": 2}),
        update(id=4, a=1, old={"id": 3}),
        delete(id=4),
        delete(id=5),
    ]
    assert judged(rows) == {
        "passed": [5],
        "quarantined": {1: ["positive"], 2: [REASON_BEHIND], 3: [REASON_BEHIND], 4: [REASON_BEHIND]},
        "settled": [],
        "waiting": ['{"id":1}', '{"id":2}', '{"id":3}', '{"id":4}'],
    }


def test_a_truncate_ends_a_key_change_that_waits() -> None:
    rows = [update(id=2, a=-1, old={"id": 1}), truncate(), insert(id=1, a=1), delete(id=1)]
    assert judged(rows)["passed"] == [2, 3, 4]


def test_rows_without_a_key_never_wait_for_each_other() -> None:
    rows = [insert(id=1, a=-1), insert(id=1, a=1), truncate(), insert(id=1, a=-2)]
    assert judged(rows, schema=KEYLESS) == {
        "passed": [2, 3],
        "quarantined": {1: ["positive"], 4: ["positive"]},
        "settled": [(None, 3, STATUS_CLOSED)],
        "waiting": ["{}"],
    }


def test_a_misfit_key_is_quarantined_whatever_the_contract_says() -> None:
    piece = batch(SCHEMA, [insert(id=None, a=1), delete(id=None)], misfits=(misfit("id", {0: "NaN", 1: "NaN"}),))
    result = judge(piece, attrs.evolve(POSITIVE, on_misfit=OnMisfit.NULL), NOTHING)
    assert [(row["key"], row["op"]) for row in result.quarantined.to_pylist()] == [
        ('{"id":"NaN"}', "insert"),
        ('{"id":"NaN"}', "delete"),
    ]
    assert result.waiting == Waiting(frozenset({'{"id":"NaN"}'}))


def test_hold_sets_apart_what_waits_without_judging() -> None:
    table = changes(SCHEMA, [update(id=1, a=-1, unchanged=["b"]), insert(id=2, a=-1)])
    held = hold(table, SCHEMA, ONE, contract_version="3")
    assert held.passed.equals(table.slice(1))
    assert [(row["key"], row["contract_version"]) for row in held.held.to_pylist()] == [('{"id":1}', "3")]
    assert held.waiting == ONE


def test_what_waits_can_be_read_back_from_the_stored_rows() -> None:
    piece = batch(SCHEMA, [update(id=2, a=-1, old={"id": 1}), insert(id=3, a=-1)])
    result = judge(piece, POSITIVE, NOTHING)
    stored = result.quarantined
    assert Waiting.of(stored["key"].to_pylist(), stored["row"].to_pylist()) == result.waiting
    assert result.waiting.moved == {'{"id":1}', '{"id":2}'}


def test_only_rows_with_nothing_newer_are_released() -> None:
    rows = [insert(id=1, a=-1), insert(id=2, a=-1), update(id=4, a=-1, old={"id": 3}), insert(id=5, a=-1)]
    quarantined = judge(batch(SCHEMA, rows), POSITIVE, NOTHING).quarantined
    newest = {'{"id":1}': 99 << 46, '{"id":2}': 1 << 46, '{"id":3}': 99 << 46}
    found = releasable(quarantined.take([3, 2, 1, 0]), newest)
    assert found.rows["key"].to_pylist() == ['{"id":2}', '{"id":5}']
    assert found.superseded["key"].to_pylist() == ['{"id":1}', '{"id":4}']
    assert found.incomplete.num_rows == 0


def test_a_row_whose_value_was_too_large_to_keep_cannot_be_released() -> None:
    schema = StreamSchema((Column("id", pa.int64()), Column("text", pa.string())), ("id",))
    result = judge(
        batch(schema, [insert(id=1, text="x" * 500)]), Contract(), NOTHING, limits=ValueLimits(text_bytes=400)
    )
    assert result.quarantined_reasons == {"size(text)": 1}
    assert releasable(result.quarantined, {}).incomplete.num_rows == 1


def test_a_released_row_is_the_change_it_was_under_its_new_sequence() -> None:
    rows = [update(id=2, a=-1, old={"id": 1}, unchanged=["b"]), insert(id=3, a=None, b=4)]
    odd = (misfit("a", {1: "NaN"}),)
    quarantined = judge(batch(SCHEMA, rows, misfits=odd), POSITIVE, NOTHING).quarantined
    again = released_batch(quarantined, SCHEMA, changes(SCHEMA, rows, first_commit=50)[SEQUENCE], stream="orders")
    assert again.table.equals(changes(SCHEMA, rows, first_commit=50))
    assert [(found.column, found.rows.to_pylist(), found.texts.to_pylist()) for found in again.misfits] == [
        ("a", [1], ["NaN"])
    ]


def test_nothing_of_a_large_quarantine_is_lost_between_its_pieces() -> None:
    count = 120_000
    rows = [insert(id=number, a=-1) for number in range(count)]
    quarantined = judge(batch(SCHEMA, rows), POSITIVE, NOTHING).quarantined
    assert quarantined["key"].to_pylist() == [f'{{"id":{number}}}' for number in range(count)]


@attrs.define
class Table:
    """Rows by key, changed one by one."""

    rows: dict[int, dict[str, Any]] = attrs.field(factory=dict)

    def apply(self, row: dict[str, Any]) -> None:
        if row[OP] == Operation.TRUNCATE:
            self.rows.clear()
            return
        base = self.rows.get((row[OLD_KEY] or row)["id"], {})
        if row[OP] == Operation.DELETE or row[OLD_KEY]:
            self.rows.pop((row[OLD_KEY] or row)["id"], None)
        if row[OP] != Operation.DELETE:
            left_out = row[UNCHANGED] or []
            self.rows[row["id"]] = {name: (base if name in left_out else row)[name] for name in SCHEMA.names}


@attrs.define
class Store:
    """A quarantine kept row by row."""

    rows: list[dict[str, Any]] = attrs.field(factory=list)

    def add(self, quarantined: pa.Table, settled: pa.Table) -> None:
        self.rows += [{**row, "status": STATUS_WAITING} for row in quarantined.to_pylist()]
        for wanted in settled.to_pylist():
            for row in self.waiting():
                if wanted["key"] in (None, row["key"]) and row["sequence"] < wanted["before"]:
                    row["status"] = wanted["status"]

    def waiting(self) -> list[dict[str, Any]]:
        return [row for row in self.rows if row["status"] == STATUS_WAITING]


@st.composite
def histories(draw: st.DrawFn) -> list[Row]:
    """Changes as a real table of four possible keys would log them; a negative ``a`` is a broken row."""
    table: dict[int, dict[str, int]] = {}
    rows: list[Row] = []
    value = st.sampled_from([-1, 1, 2, 3])
    for _ in range(draw(st.integers(1, 25))):
        free, used = [key for key in range(4) if key not in table], sorted(table)
        kinds = ["insert"] * bool(free) + ["update", "part", "delete"] * bool(used) + ["move"] * bool(free and used)
        kind = draw(st.sampled_from([*kinds, *kinds, *kinds, "truncate"]))
        if kind == "truncate":
            table.clear()
            rows.append(truncate())
            continue
        key = draw(st.sampled_from(free if kind == "insert" else used))
        if kind == "delete":
            del table[key]
            rows.append(delete(id=key))
            continue
        left_out = [draw(st.sampled_from(["a", "b"]))] if kind in {"part", "move"} and draw(st.booleans()) else []
        new = {name: table[key][name] if name in left_out else draw(value) for name in ("a", "b")}
        given_values = {name: new[name] for name in ("a", "b") if name not in left_out}
        target, old = key, None
        if kind == "move":
            target, old = draw(st.sampled_from(free)), {"id": key}
            del table[key]
        table[target] = new
        op = Operation.INSERT if kind == "insert" else Operation.UPDATE
        rows.append(change(op, id=target, unchanged=left_out, old=old, **given_values))
    return rows


@settings(max_examples=300, deadline=None)  # a slow machine is no fault
@given(histories(), st.integers(1, 8))
def test_keys_that_do_not_wait_are_right_and_releasing_the_others_makes_them_right(rows: list[Row], size: int) -> None:
    source, staging, store, newest = Table(), Table(), Store(), {}
    for row in changes(SCHEMA, rows).to_pylist():
        source.apply(row)
    for start in range(0, len(rows), size):
        piece = batch(SCHEMA, rows[start : start + size], first_commit=start + 1)
        before = Waiting.of([row["key"] for row in store.waiting()], [row["row"] for row in store.waiting()])
        result = judge(piece, POSITIVE, before)
        store.add(result.quarantined, result.settled)
        for row in result.passed.to_pylist():
            staging.apply(row)
            newest |= {f'{{"id":{key["id"]}}}': int(row[SEQUENCE]) for key in (row, row[OLD_KEY]) if key}
        kept = Waiting.of([row["key"] for row in store.waiting()], [row["row"] for row in store.waiting()])
        assert result.waiting == kept
    for key in range(4):
        if f'{{"id":{key}}}' not in kept.keys:
            assert staging.rows.get(key) == source.rows.get(key)
    waiting = pa.Table.from_pylist(
        [{n: row[n] for n in QUARANTINE_SCHEMA.names} for row in store.waiting()], QUARANTINE_SCHEMA
    )
    found = releasable(waiting, newest)
    assert found.rows.num_rows == waiting.num_rows
    again = released_batch(found.rows, SCHEMA, found.rows["sequence"], stream="orders")
    for row in again.table.to_pylist():
        staging.apply(row)
    assert staging.rows == source.rows


def test_sequences_of_a_settlement_are_those_of_the_settling_rows() -> None:
    settled = judge(batch(SCHEMA, [delete(id=1)], first_commit=9), POSITIVE, ONE).settled
    assert settled["before"].to_pylist() == [Decimal((9 << 46) + (1 << 44))]
