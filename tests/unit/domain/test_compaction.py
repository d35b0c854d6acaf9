"""Changes of one key become its state; nothing given is lost, nothing unknown is made up."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.domain.change import COMMIT_AT, OP, SEQUENCE, UNCHANGED, Operation
from pipeline.domain.compaction import Grain, compact, state_schema
from pipeline.domain.loading import BASE_KEY
from pipeline.domain.position import Sequence
from tests.support.change_tables import (
    Written,
    changes_of,
    commit_at,
    delete,
    insert,
    schema_of,
    sequence,
    snapshot,
    update,
)

SCHEMA = schema_of(id=pa.int64(), a=pa.int64(), b=pa.string())
TEXT_KEY = schema_of(("id",), id=pa.string(), a=pa.int64())
ALL_GRAINS = [(Grain.KEY, False), (Grain.KEY, True), (Grain.COMMIT, True)]


def states(
    *written: Written, schema: Any = SCHEMA, grain: Grain = Grain.KEY, keep: bool = False
) -> list[dict[str, Any]]:
    """The states, shortened: values, and of the metadata what is not null; sequences as ordinals."""
    table = compact(changes_of(schema, written), schema, grain=grain, keep_deleted_values=keep)
    table.validate(full=True)
    assert table.schema == state_schema(schema)
    return [_short(row) for row in table.to_pylist()]


def _short(row: dict[str, Any]) -> dict[str, Any]:
    at = Sequence.unpack(int(row.pop(SEQUENCE)))
    assert row.pop(COMMIT_AT) == commit_at(at.commit)
    short = {"op": Operation(row.pop(OP)).label, "at": at.ordinal}
    unchanged, base = row.pop(UNCHANGED), row.pop(BASE_KEY)
    assert (unchanged is None) == (base is None)
    if unchanged is not None:
        short |= {"unchanged": unchanged, "base": tuple(base.values())}
    return short | row


def test_no_changes_give_no_states() -> None:
    for grain, keep in ALL_GRAINS:
        assert states(grain=grain, keep=keep) == []


def test_a_stream_without_a_key_has_no_states() -> None:
    with pytest.raises(ValueError, match="without a key"):
        compact(pa.table({"a": [1]}), schema_of((), a=pa.int64()), grain=Grain.KEY)


def test_the_last_change_of_each_key_stands_in_sequence_order() -> None:
    assert states(insert(id=1, a=1, b="x"), insert(id=2, a=2, b="y"), update(id=1, a=3, b=None)) == [
        {"op": "insert", "at": 1, "id": 2, "a": 2, "b": "y"},
        {"op": "update", "at": 2, "id": 1, "a": 3, "b": None},
    ]


def test_a_snapshot_row_is_a_state_of_its_own() -> None:
    assert states(snapshot(id=1, a=1, b="x")) == [{"op": "snapshot", "at": 0, "id": 1, "a": 1, "b": "x"}]


def test_an_unchanged_value_comes_from_the_insert_in_the_same_batch() -> None:
    assert states(insert(id=1, a=1, b="large"), update(id=1, a=2, unchanged=["b"])) == [
        {"op": "update", "at": 1, "id": 1, "a": 2, "b": "large"}
    ]


def test_an_update_to_null_is_not_unchanged() -> None:
    written = (insert(id=1, a=1, b="large"), update(id=1, a=2, b=None), update(id=1, a=3, unchanged=["b"]))
    assert states(*written) == [{"op": "update", "at": 2, "id": 1, "a": 3, "b": None}]


def test_an_unchanged_value_that_the_batch_does_not_hold_is_left_to_the_base_row() -> None:
    written = (update(id=1, a=1, unchanged=["b"]), update(id=1, unchanged=["a", "b"]))
    assert states(*written) == [{"op": "update", "at": 1, "unchanged": ["b"], "base": (1,), "id": 1, "a": 1, "b": None}]


def test_columns_are_filled_each_from_its_own_last_giver() -> None:
    written = (
        update(id=1, a=1, unchanged=["b"]),
        update(id=1, b="given", unchanged=["a"]),
        update(id=1, unchanged=["a", "b"]),
    )
    assert states(*written) == [{"op": "update", "at": 2, "id": 1, "a": 1, "b": "given"}]


def test_a_key_change_moves_the_row_and_what_was_unchanged_in_it() -> None:
    assert states(update(id=2, a=5, unchanged=["b"], was={"id": 1})) == [
        {"op": "delete", "at": 0, "id": 1, "a": None, "b": None},
        {"op": "update", "at": 0, "unchanged": ["b"], "base": (1,), "id": 2, "a": 5, "b": None},
    ]


def test_a_key_change_without_unchanged_columns_needs_no_base() -> None:
    assert states(update(id=2, a=5, b="x", was={"id": 1}), update(id=2, a=6, b="y")) == [
        {"op": "delete", "at": 0, "id": 1, "a": None, "b": None},
        {"op": "update", "at": 1, "id": 2, "a": 6, "b": "y"},
    ]


def test_a_chain_of_key_changes_keeps_the_first_key_as_base() -> None:
    written = (
        update(id=2, a=5, unchanged=["b"], was={"id": 1}),
        update(id=2, a=6, unchanged=["b"]),
        update(id=3, unchanged=["a", "b"], was={"id": 2}),
    )
    assert states(*written) == [
        {"op": "delete", "at": 0, "id": 1, "a": None, "b": None},
        {"op": "delete", "at": 2, "id": 2, "a": None, "b": None},
        {"op": "update", "at": 2, "unchanged": ["b"], "base": (1,), "id": 3, "a": 6, "b": None},
    ]


def test_two_keys_swapped_through_a_third_take_each_others_base() -> None:
    written = (
        update(id=3, a=1, unchanged=["b"], was={"id": 1}),
        update(id=1, a=2, unchanged=["b"], was={"id": 2}),
        update(id=2, unchanged=["a", "b"], was={"id": 3}),
    )
    assert states(*written) == [
        {"op": "update", "at": 1, "unchanged": ["b"], "base": (2,), "id": 1, "a": 2, "b": None},
        {"op": "delete", "at": 2, "id": 3, "a": None, "b": None},
        {"op": "update", "at": 2, "unchanged": ["b"], "base": (1,), "id": 2, "a": 1, "b": None},
    ]


def test_an_old_key_equal_to_the_new_one_is_no_key_change() -> None:
    assert states(update(id=1, a=5, b="x", was={"id": 1})) == [{"op": "update", "at": 0, "id": 1, "a": 5, "b": "x"}]


def test_delete_then_insert_keeps_the_new_values_only() -> None:
    written = (
        update(id=1, a=1, b="old"),
        delete(id=1),
        insert(id=1, a=None, b="new"),
        update(id=1, unchanged=["a", "b"]),
    )
    for grain, keep in ALL_GRAINS:
        assert states(*written, grain=grain, keep=keep) == [{"op": "update", "at": 3, "id": 1, "a": None, "b": "new"}]


def test_a_key_given_again_after_a_key_change_away_has_one_state() -> None:
    written = (
        update(id=2, a=1, unchanged=["b"], was={"id": 1}),
        insert(id=1, a=7, b="new"),
        update(id=1, a=8, unchanged=["b"]),
    )
    assert states(*written) == [
        {"op": "update", "at": 0, "unchanged": ["b"], "base": (1,), "id": 2, "a": 1, "b": None},
        {"op": "update", "at": 2, "id": 1, "a": 8, "b": "new"},
    ]


def test_a_row_never_takes_values_of_another_that_got_its_old_key() -> None:
    written = (
        update(id=2, a=1, unchanged=["b"], was={"id": 1}),
        update(id=1, a=9, b="another row"),
        update(id=2, a=3, unchanged=["b"]),
    )
    assert states(*written)[-1] == {
        "op": "update", "at": 2, "unchanged": ["b"], "base": (1,), "id": 2, "a": 3, "b": None,
    }  # fmt: skip


def test_insert_then_delete_is_a_delete() -> None:
    assert states(insert(id=1, a=1, b="x"), delete(id=1)) == [{"op": "delete", "at": 1, "id": 1, "a": None, "b": None}]


def test_a_delete_keeps_the_values_last_known_where_they_are_wanted() -> None:
    written = (insert(id=1, a=1, b="x"), update(id=2, a=2, unchanged=["b"]), delete(id=1), delete(id=2), delete(id=3))
    for grain in Grain:
        assert states(*written, grain=grain, keep=True) == [
            {"op": "delete", "at": 2, "id": 1, "a": 1, "b": "x"},
            {"op": "delete", "at": 3, "unchanged": ["b"], "base": (2,), "id": 2, "a": 2, "b": None},
            {"op": "delete", "at": 4, "unchanged": ["a", "b"], "base": (3,), "id": 3, "a": None, "b": None},
        ]


def test_a_key_that_was_left_keeps_the_values_it_had_before() -> None:
    written = (update(id=1, a=1, unchanged=["b"]), update(id=2, a=5, b="y", was={"id": 1}))
    assert states(*written, keep=True) == [
        {"op": "delete", "at": 1, "unchanged": ["b"], "base": (1,), "id": 1, "a": 1, "b": None},
        {"op": "update", "at": 1, "id": 2, "a": 5, "b": "y"},
    ]


def test_history_keeps_the_last_state_of_each_commit() -> None:
    written = (
        insert(1, id=1, a=1, b="x"),
        update(1, id=1, a=2, unchanged=["b"]),
        update(2, id=1, a=3, unchanged=["b"]),
        delete(3, id=1),
        insert(4, id=1, a=4, b="y"),
    )
    assert states(*written, grain=Grain.COMMIT, keep=True) == [
        {"op": "update", "at": 1, "id": 1, "a": 2, "b": "x"},
        {"op": "update", "at": 2, "id": 1, "a": 3, "b": "x"},
        {"op": "delete", "at": 3, "id": 1, "a": 3, "b": "x"},
        {"op": "insert", "at": 4, "id": 1, "a": 4, "b": "y"},
    ]


def test_history_tells_commits_of_different_epochs_apart() -> None:
    table = changes_of(SCHEMA, [insert(id=1, a=1, b="x"), update(id=1, a=2, b="y")])
    later = pa.array([sequence(1, 0), Sequence(epoch=1, commit=1, phase=1, ordinal=0).pack()], pa.decimal128(38, 0))
    table = table.set_column(table.schema.get_field_index(SEQUENCE), SEQUENCE, later)
    assert compact(table, SCHEMA, grain=Grain.COMMIT)["a"].to_pylist() == [1, 2]


@pytest.mark.parametrize(
    "keys",
    [
        pytest.param(("", " ", "a", "A", "a ", " a", "é", "e\u0301", "\u00e9 "), id="texts"),
        pytest.param((b"", b"\0", b"a", b"A"), id="bytes"),
        pytest.param((-1, 0, 1, 2**63 - 1, -(2**63)), id="integers"),
        pytest.param((float("nan"), 0.1, float("inf"), -float("inf")), id="floats"),
        pytest.param(([1], [], [1, 2], [None]), id="arrays"),
        pytest.param((True, False), id="booleans"),
    ],
)
def test_keys_are_compared_exactly(keys: tuple[Any, ...]) -> None:
    schema = schema_of(id=pa.array(keys).type, a=pa.int64())
    written = [insert(id=key, a=number) for number, key in enumerate(keys)]
    written += [update(id=key, a=100 + number) for number, key in enumerate(keys)]
    assert [row["a"] for row in states(*written, schema=schema)] == [100 + number for number in range(len(keys))]


def test_nan_is_one_key_and_so_is_zero_of_either_sign() -> None:
    schema = schema_of(id=pa.float64(), a=pa.int64())
    nan = float("nan")
    written = [insert(id=nan, a=1), insert(id=0.0, a=2), update(id=-0.0, a=3), update(id=-nan, a=4)]
    assert [row["a"] for row in states(*written, schema=schema)] == [3, 4]


def test_composite_keys_are_equal_only_in_all_parts() -> None:
    schema = schema_of(("x", "y"), x=pa.string(), y=pa.string(), a=pa.int64())
    written = [
        insert(x="a", y="bc", a=1),
        insert(x="ab", y="c", a=2),
        insert(x="", y="abc", a=3),
        insert(x="a", y="", a=4),
        update(x="ab", y="c", a=5),
        update(x="", y="", unchanged=["a"], was={"x": "a", "y": ""}),
    ]
    assert states(*written, schema=schema) == [
        {"op": "insert", "at": 0, "x": "a", "y": "bc", "a": 1},
        {"op": "insert", "at": 2, "x": "", "y": "abc", "a": 3},
        {"op": "update", "at": 4, "x": "ab", "y": "c", "a": 5},
        {"op": "delete", "at": 5, "x": "a", "y": "", "a": None},
        {"op": "update", "at": 5, "x": "", "y": "", "a": 4},
    ]


# --- The same by replaying change after change -----------------------------------------------------------------------

Values = dict[str, Any]
WIDE = schema_of(("id", "part"), id=pa.string(), part=pa.int64(), a=pa.int64(), b=pa.string())
KEYS = [(text, part) for text in ("", "k", "K") for part in (1, 2)]
NUMBERS = st.none() | st.integers(0, 9)
TEXTS = st.none() | st.sampled_from(["", "x", "X"])


def _keyed(key: tuple[str, int]) -> Values:
    return {"id": key[0], "part": key[1]}


@st.composite
def logs(draw: st.DrawFn) -> tuple[dict[tuple[str, int], Values], list[Written]]:
    """Rows before a batch, and changes that a log could hold after them."""
    before = {key: {"a": draw(NUMBERS), "b": draw(TEXTS)} for key in KEYS if draw(st.booleans())}
    live, written, commit = {key: dict(values) for key, values in before.items()}, [], 1
    for _ in range(draw(st.integers(0, 14))):
        commit += draw(st.integers(0, 1))
        absent = [key for key in KEYS if key not in live]
        kinds = ["insert"] * bool(absent) + ["update", "delete"] * bool(live) + ["move"] * bool(live and absent)
        kind = draw(st.sampled_from(kinds))
        key = draw(st.sampled_from(absent if kind == "insert" else sorted(live)))
        if kind == "delete":
            del live[key]
            written.append(delete(commit, **_keyed(key)))
            continue
        given_values = {"a": draw(NUMBERS), "b": draw(TEXTS)}
        if kind == "insert":
            live[key] = given_values
            written.append(insert(commit, **_keyed(key), **given_values))
            continue
        unchanged = tuple(name for name in ("a", "b") if draw(st.booleans()))
        new = draw(st.sampled_from(absent)) if kind == "move" else key
        row = live.pop(key)
        live[new] = given_values | {name: row[name] for name in unchanged}
        shown = {name: value for name, value in given_values.items() if name not in unchanged}
        was = _keyed(key) if new != key else None
        written.append(Written(Operation.UPDATE, _keyed(new) | shown, unchanged, was, commit))
    return before, written


def replay(
    before: dict[tuple[str, int], Values], written: list[Written], grain: Grain
) -> dict[tuple[int, tuple[str, int]], tuple[int, bool, Values]]:
    """Change after change: by commit (0 at the grain of keys) and key, where its state came from and what it is."""
    rows, found = {key: dict(values) for key, values in before.items()}, {}
    for number, change in enumerate(written):
        commit = change.commit if grain is Grain.COMMIT else 0
        key = (change.values["id"], change.values["part"])
        if change.op is Operation.DELETE:
            found[commit, key] = (number, True, rows.pop(key))
            continue
        old = (change.old_key["id"], change.old_key["part"]) if change.old_key else key
        row = rows.pop(old, {})
        if old != key:
            found[commit, old] = (number, True, row)
        rows[key] = {name: row[name] if name in change.unchanged else change.values[name] for name in ("a", "b")}
        found[commit, key] = (number, False, rows[key])
    return found


@settings(max_examples=400, deadline=None)
@given(log=logs(), chunk_rows=st.sampled_from([None, 1, 3]), mode=st.sampled_from(ALL_GRAINS))
def test_states_say_what_replaying_every_change_says(
    log: tuple[dict[tuple[str, int], Values], list[Written]], chunk_rows: int | None, mode: tuple[Grain, bool]
) -> None:
    before, written = log
    grain, keep = mode
    table = compact(changes_of(WIDE, written, chunk_rows=chunk_rows), WIDE, grain=grain, keep_deleted_values=keep)
    table.validate(full=True)
    found = {}
    for row in table.to_pylist():
        at = Sequence.unpack(int(row[SEQUENCE]))
        values = {"a": row["a"], "b": row["b"]}
        for name in row[UNCHANGED] or ():
            values[name] = before[row[BASE_KEY]["id"], row[BASE_KEY]["part"]][name]
        place = at.commit if grain is Grain.COMMIT else 0, (row["id"], row["part"])
        assert place not in found
        found[place] = (at.ordinal, row[OP] == Operation.DELETE, values)
    expected = replay(before, written, grain)
    if not keep:
        expected, found = _without_deleted_values(expected), _without_deleted_values(found)
    assert found == expected
    assert table[SEQUENCE].to_pylist() == sorted(table[SEQUENCE].to_pylist())


def _without_deleted_values(found: dict[Any, tuple[int, bool, Values]]) -> dict[Any, tuple[int, bool, Values]]:
    return {place: (at, gone, {} if gone else values) for place, (at, gone, values) in found.items()}
