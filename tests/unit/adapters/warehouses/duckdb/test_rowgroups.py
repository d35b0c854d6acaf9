"""The rows of a copy are written in whole row groups, as long as their size allows."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.warehouses.duckdb import rowgroups
from adapters.warehouses.duckdb.rowgroups import ROW_GROUP, RowGroups
from pipeline.domain.change import COMMIT_AT_TYPE, UNCHANGED_TYPE, Operation, change_schema
from pipeline.domain.loading import LoadStep, Target
from pipeline.domain.planning import plan_copy
from pipeline.domain.position import PHASE_SNAPSHOT, pack_sequences
from pipeline.domain.schema import Column, StreamSchema
from pipeline.domain.stream import Mode

SCHEMA = StreamSchema([Column("id", pa.int64()), Column("note", pa.string())], key=("id",))
TARGET = Target("people", "shop__people", Mode.MIRROR, SCHEMA)
AT = pa.scalar(datetime(2026, 1, 1, tzinfo=UTC), COMMIT_AT_TYPE)


def piece(first: int, count: int, *, note: str = "x") -> pa.Table:
    numbers = np.arange(first, first + count)
    arrays = [
        pa.array(numbers),
        pa.repeat(note, count),
        pa.repeat(pa.scalar(int(Operation.SNAPSHOT), pa.int8()), count),
        pack_sequences(0, 7, PHASE_SNAPSHOT, numbers.astype(np.uint64)),
        pa.repeat(AT, count),
        pa.nulls(count, UNCHANGED_TYPE),
        pa.nulls(count, SCHEMA.key_type()),
    ]
    return pa.Table.from_arrays(arrays, schema=change_schema(SCHEMA))


def written(groups: RowGroups, pieces: Iterable[pa.Table]) -> list[LoadStep]:
    steps = [groups.add(part) for part in pieces]
    return [step for step in [*steps, groups.rest()] if step is not None]


def chunk_lengths(steps: Iterable[LoadStep]) -> list[list[int]]:
    return [[len(chunk) for chunk in step.changes["id"].chunks] for step in steps]


def test_waits_for_two_row_groups_and_hands_out_one_to_each_thread() -> None:
    pieces = [piece(first, 50_000) for first in range(0, 300_000, 50_000)]

    steps = written(RowGroups(TARGET), pieces)

    assert chunk_lengths(steps) == [[ROW_GROUP, ROW_GROUP], [300_000 - 2 * ROW_GROUP]]
    assert [[len(chunk) for chunk in step.state["id"].chunks] for step in steps] == chunk_lengths(steps)


def test_writes_whole_row_groups_of_wide_rows_before_there_are_two(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rowgroups, "WRITE_BYTES", 20_000_000)

    steps = written(RowGroups(TARGET), [piece(0, 130_000, note="x" * 150), piece(130_000, 10)])

    assert chunk_lengths(steps) == [[ROW_GROUP], [130_010 - ROW_GROUP]]


def test_writes_rows_that_are_too_wide_for_a_row_group_as_they_come(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rowgroups, "WRITE_BYTES", 100_000)

    steps = written(RowGroups(TARGET), [piece(0, 100, note="x" * 2_000), piece(100, 100, note="x" * 2_000)])

    assert chunk_lengths(steps) == [[100], [100]]


def test_leaves_nothing_to_write_of_an_empty_copy() -> None:
    assert RowGroups(TARGET).rest() is None


@settings(deadline=None, max_examples=40)
@given(st.lists(st.integers(1, 40), max_size=12), st.integers(1, 10))
def test_writes_every_row_once_in_order_as_the_plan_of_a_copy_has_it(counts: list[int], size: int) -> None:
    firsts = np.cumsum([0, *counts])
    pieces = [piece(int(first), count) for first, count in zip(firsts, counts, strict=False)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rowgroups, "ROW_GROUP", size)
        steps = written(RowGroups(TARGET), pieces)

    whole = plan_copy(TARGET, pa.concat_tables([piece(0, 0), *pieces]))
    assert pa.concat_tables([piece(0, 0), *(step.changes for step in steps)]) == whole.changes
    assert pa.concat_tables([whole.state.slice(0, 0), *(step.state for step in steps)]) == whole.state
