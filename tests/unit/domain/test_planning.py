"""Changes become load steps; every change is accounted for."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.domain.change import OP, SEQUENCE, UNCHANGED, Operation, change_schema
from pipeline.domain.compaction import state_schema
from pipeline.domain.counts import StreamCounts
from pipeline.domain.loading import BASE_KEY, LoadStep, Target, Truncation
from pipeline.domain.planning import plan_repair, plan_steps
from pipeline.domain.position import Sequence
from pipeline.domain.stream import Mode
from tests.support.change_tables import (
    Written,
    changes_of,
    commit_at,
    delete,
    insert,
    schema_of,
    sequence,
    truncate,
    update,
)

SCHEMA = schema_of(id=pa.int64(), a=pa.int64())
KEYED = [Mode.MIRROR, Mode.SOFT_DELETE, Mode.HISTORY]


def target(mode: Mode) -> Target:
    return Target(stream="s", table="shop__s", mode=mode, schema=SCHEMA)


def plan(mode: Mode, *written: Written, chunk_rows: int | None = None) -> list[dict[str, Any]]:
    """The steps, shortened: ordinals of the changes, (op, key, a) of the state, truncation and counts."""
    steps = plan_steps(target(mode), changes_of(SCHEMA, written, chunk_rows=chunk_rows))
    for step in steps:
        assert step.target == target(mode)
        assert step.changes.schema == change_schema(SCHEMA)
        assert step.state.schema == state_schema(SCHEMA)
    return [_short(step) for step in steps]


def _short(step: LoadStep) -> dict[str, Any]:
    short: dict[str, Any] = {
        "changes": [Sequence.unpack(int(value)).ordinal for value in step.changes[SEQUENCE].to_pylist()],
        "state": [(Operation(row[OP]).label, row["id"], row["a"]) for row in step.state.to_pylist()],
        "counts": (step.counts.changelog_count, step.counts.applied_count, step.counts.compacted_count),
    }
    return short if step.truncate is None else short | {"truncate": step.truncate}


def truncation(commit: int, ordinal: int) -> Truncation:
    return Truncation(sequence(commit, ordinal), commit_at(commit))


@pytest.mark.parametrize("mode", Mode)
def test_no_changes_need_no_step(mode: Mode) -> None:
    assert plan(mode) == []


def test_append_mode_takes_every_change_as_it_is() -> None:
    written = (insert(id=1, a=1), update(id=1, a=2), truncate(), delete(id=1))
    assert plan(Mode.APPEND, *written) == [{"changes": [0, 1, 2, 3], "state": [], "counts": (4, 4, 0)}]


def test_append_mode_needs_no_key() -> None:
    schema = schema_of((), a=pa.int64())
    changes = pa.Table.from_pylist([{"a": 1, OP: 0, SEQUENCE: 1}], change_schema(schema))
    (step,) = plan_steps(Target(stream="s", table="t", mode=Mode.APPEND, schema=schema), changes)
    assert step.changes.equals(changes)
    assert step.counts == StreamCounts(changelog_count=1, applied_count=1)


@pytest.mark.parametrize("mode", KEYED)
def test_changes_that_a_later_one_overtakes_are_compacted(mode: Mode) -> None:
    written = (insert(id=1, a=1), insert(id=2, a=2), update(id=1, a=3))
    assert plan(mode, *written, chunk_rows=2) == [
        {"changes": [0, 1, 2], "state": [("insert", 2, 2), ("update", 1, 3)], "counts": (3, 2, 1)}
    ]


def test_history_applies_each_commit() -> None:
    written = (insert(1, id=1, a=1), update(2, id=1, a=2), update(2, id=1, a=3))
    assert plan(Mode.HISTORY, *written) == [
        {"changes": [0, 1, 2], "state": [("insert", 1, 1), ("update", 1, 3)], "counts": (3, 2, 1)}
    ]


@pytest.mark.parametrize("mode", KEYED)
def test_the_old_key_of_a_key_change_does_not_count_on_its_own(mode: Mode) -> None:
    (step,) = plan(mode, update(id=2, a=5, was={"id": 1}))
    assert [row[:2] for row in step["state"]] == [("delete", 1), ("update", 2)]
    assert step["counts"] == (1, 1, 0)


@pytest.mark.parametrize("mode", KEYED)
def test_a_key_change_overtaken_by_a_delete_is_compacted(mode: Mode) -> None:
    (step,) = plan(mode, update(id=2, a=5, was={"id": 1}), delete(id=2))
    assert [row[:2] for row in step["state"]] == [("delete", 1), ("delete", 2)]
    assert step["counts"] == (2, 1, 1)


@pytest.mark.parametrize("mode", KEYED)
def test_two_keys_changed_at_once_and_given_again_leave_no_delete(mode: Mode) -> None:
    (step,) = plan(mode, update(id=2, a=5, was={"id": 1}), insert(id=1, a=6))
    assert step["state"] == [("update", 2, 5), ("insert", 1, 6)]
    assert step["counts"] == (2, 2, 0)


@pytest.mark.parametrize("mode", [Mode.SOFT_DELETE, Mode.HISTORY])
def test_a_truncate_opens_a_step_of_its_own(mode: Mode) -> None:
    written = (insert(id=1, a=1), truncate(), insert(id=1, a=2), insert(id=2, a=3))
    assert plan(mode, *written) == [
        {"changes": [0], "state": [("insert", 1, 1)], "counts": (1, 1, 0)},
        {
            "changes": [1, 2, 3],
            "state": [("insert", 1, 2), ("insert", 2, 3)],
            "counts": (3, 3, 0),
            "truncate": truncation(1, 1),
        },
    ]


def test_mirror_writes_nothing_that_a_truncate_removes_again() -> None:
    written = (insert(id=1, a=1), truncate(), insert(id=1, a=2), truncate(2), insert(2, id=2, a=3))
    assert plan(Mode.MIRROR, *written, chunk_rows=2) == [
        {"changes": [0], "state": [], "counts": (1, 0, 1)},
        {"changes": [1, 2], "state": [], "counts": (2, 1, 1), "truncate": truncation(1, 1)},
        {"changes": [3, 4], "state": [("insert", 2, 3)], "counts": (2, 2, 0), "truncate": truncation(2, 3)},
    ]


@pytest.mark.parametrize("mode", KEYED)
def test_of_truncates_in_a_row_the_first_is_applied_and_all_count(mode: Mode) -> None:
    assert plan(mode, truncate(1), truncate(2), insert(2, id=1, a=1)) == [
        {"changes": [0, 1, 2], "state": [("insert", 1, 1)], "counts": (3, 3, 0), "truncate": truncation(1, 0)}
    ]


@pytest.mark.parametrize("mode", KEYED)
def test_a_truncate_at_the_end_leaves_no_state(mode: Mode) -> None:
    steps = plan(mode, insert(id=1, a=1), truncate())
    assert steps[-1] == {"changes": [1], "state": [], "counts": (1, 1, 0), "truncate": truncation(1, 1)}


@pytest.mark.parametrize("mode", KEYED)
def test_a_key_change_never_reaches_across_a_truncate(mode: Mode) -> None:
    written = (
        update(id=2, a=1, was={"id": 1}),
        truncate(),
        insert(id=1, a=2),
        update(id=3, unchanged=["a"], was={"id": 1}),
    )
    last = plan(mode, *written)[-1]
    assert (last["state"][-1], last["counts"]) == (("update", 3, 2), (3, 2, 1))


OPERATIONS = st.tuples(st.sampled_from(["insert", "update", "delete", "truncate", "move"]), st.integers(0, 3))


@given(
    mode=st.sampled_from(Mode),
    operations=st.lists(OPERATIONS, max_size=12),
    chunk_rows=st.sampled_from([None, 1, 4]),
)
def test_steps_hold_every_change_once_in_order_and_counts_balance(
    mode: Mode, operations: list[tuple[str, int]], chunk_rows: int | None
) -> None:
    made = {
        "insert": lambda key: insert(id=key, a=1),
        "update": lambda key: update(id=key, unchanged=["a"]),
        "delete": lambda key: delete(id=key),
        "truncate": lambda key: truncate(),
        "move": lambda key: update(id=key + 1, a=2, was={"id": key}),
    }
    changes = changes_of(SCHEMA, [made[name](key) for name, key in operations], chunk_rows=chunk_rows)
    steps = plan_steps(target(mode), changes)
    assert pa.concat_tables([changes.slice(0, 0), *(step.changes for step in steps)]).equals(changes)
    for step in steps:
        assert step.counts.changelog_count == step.changes.num_rows
        assert step.counts.changelog_count == step.counts.applied_count + step.counts.compacted_count
        assert min(step.counts.applied_count, step.counts.compacted_count) >= 0


@pytest.mark.parametrize("mode", KEYED)
def test_a_repair_gives_rows_back_and_takes_keys_away(mode: Mode) -> None:
    wanted = pa.table({"id": pa.array([1, 2]), "a": pa.array([10, None], pa.int64())})
    step = plan_repair(
        target(mode), wanted, pa.table({"id": pa.array([7])}), epoch=3, commit=50, commit_at=commit_at(9)
    )
    assert step.changes.schema == change_schema(SCHEMA)
    assert [(row[OP], row["id"], row["a"]) for row in step.changes.to_pylist()] == [
        (Operation.DELETE, 7, None),
        (Operation.SNAPSHOT, 1, 10),
        (Operation.SNAPSHOT, 2, None),
    ]
    assert [(row[OP], row["id"], row["a"], row[BASE_KEY]) for row in step.state.to_pylist()] == [
        (Operation.DELETE, 7, None, None if mode is Mode.MIRROR else {"id": 7}),
        (Operation.SNAPSHOT, 1, 10, None),
        (Operation.SNAPSHOT, 2, None, None),
    ]
    assert step.state[UNCHANGED].to_pylist() == [None if mode is Mode.MIRROR else ["a"], None, None]
    assert step.counts == StreamCounts(read_count=3, changelog_count=3, applied_count=3)
    assert step.counts.is_balanced


def test_a_repair_is_newer_than_the_copy_it_was_found_in_and_older_than_what_follows() -> None:
    wanted = pa.table({"id": pa.array([1]), "a": pa.array([10])})
    extra = pa.table({"id": pa.array([], pa.int64())})
    step = plan_repair(target(Mode.MIRROR), wanted, extra, epoch=0, commit=50, commit_at=commit_at(9))
    (packed,) = step.changes[SEQUENCE].to_pylist()
    assert Sequence(0, 49, 1, 2**44 - 1).pack() < Sequence(0, 50, 0, 10**12).pack() < int(packed)
    assert int(packed) < Sequence(0, 50, 1, 0).pack()
