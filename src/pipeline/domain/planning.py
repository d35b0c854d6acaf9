"""Turns the changes of one stream into the steps that load them.

Reducing changes to states is ``compaction``'s; carrying the steps out is the warehouse's.
"""

from __future__ import annotations

from datetime import datetime
from itertools import pairwise
from typing import assert_never

import attrs
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.domain.change import (
    COMMIT_AT,
    COMMIT_AT_TYPE,
    OLD_KEY,
    OP,
    SEQUENCE,
    UNCHANGED,
    UNCHANGED_TYPE,
    Operation,
    change_schema,
)
from pipeline.domain.compaction import Grain, compact, state_schema
from pipeline.domain.counts import StreamCounts
from pipeline.domain.loading import LoadStep, Target, Truncation
from pipeline.domain.position import PHASE_SNAPSHOT, pack_sequences
from pipeline.domain.stream import Mode
from pipeline.domain.valuetext import one_array

#: Ordinal of the first row of a repair: above that of any row of a snapshot.
_FIRST_REPAIR = 1 << 43


def plan_steps(target: Target, changes: pa.Table) -> tuple[LoadStep, ...]:
    """The steps that load ``changes``, which follow ``change_schema(target.schema)`` in sequence order.

    Truncates in a row open a step that holds them and what follows; the first is applied, since it leaves the others
    nothing to do. Their rows are among its changes and count as applied. In mirror mode nothing is written that a
    later truncate removes: such changes count as compacted, like those that a later change of the same key made
    unnecessary. In append mode there is one step, every change is applied and a truncate is a row like any other.
    """
    if changes.num_rows == 0:
        return ()
    if target.mode is Mode.APPEND:
        return (_step(target, changes, state=state_schema(target.schema).empty_table(), applied=changes.num_rows),)
    truncates = changes[OP].to_numpy() == Operation.TRUNCATE
    cuts = _cuts(truncates)
    return tuple(
        _keyed_step(target, changes.slice(start, end - start), truncates[start:end], is_last=end == changes.num_rows)
        for start, end in pairwise(cuts)
    )


def plan_copy(target: Target, changes: pa.Table) -> LoadStep:
    """The step that loads rows of a snapshot, which hold each key once: each change is a state as it is."""
    schema = state_schema(target.schema)
    if target.mode is Mode.APPEND:
        state = schema.empty_table()
    else:
        base = pa.nulls(changes.num_rows, target.schema.key_type())
        state = pa.Table.from_arrays([*changes.select(schema.names[:-1]).columns, base], schema=schema)
    return attrs.evolve(_step(target, changes, state=state, applied=changes.num_rows), is_copy=True)


def plan_repair(
    target: Target, wanted: pa.Table, extra: pa.Table, *, epoch: int, commit: int, commit_at: datetime
) -> LoadStep:
    """The step that makes rows be as ``wanted`` (data columns of ``target.schema``, null where
    it lacks one) and removes the keys in ``extra``.

    Its changes, deletes and snapshot rows, are as old as the snapshot they were found in: newer than all that it
    holds, its own copy included, and older than all that follows.
    """
    count = extra.num_rows + wanted.num_rows
    op = np.repeat(np.array([Operation.DELETE, Operation.SNAPSHOT], np.int8), [extra.num_rows, wanted.num_rows])
    sequences = pack_sequences(epoch, commit, PHASE_SNAPSHOT, np.arange(count) + _FIRST_REPAIR)
    metadata = {
        OP: pa.array(op),
        SEQUENCE: sequences,
        COMMIT_AT: pa.repeat(pa.scalar(commit_at, COMMIT_AT_TYPE), count),
        UNCHANGED: pa.nulls(count, UNCHANGED_TYPE),
        OLD_KEY: pa.nulls(count, target.schema.key_type()),
    }
    nothing = target.schema.arrow().empty_table()
    rows = pa.concat_tables([nothing, extra.select(target.schema.key), wanted], promote_options="default")
    rows = rows.select(target.schema.names)
    arrow = change_schema(target.schema)
    changes = pa.Table.from_arrays([*rows.columns, *metadata.values()], schema=arrow)
    state = _state(target, changes)
    counts = StreamCounts(read_count=count, changelog_count=count, applied_count=count)
    return LoadStep(target=target, changes=changes, state=state, counts=counts)


def _cuts(truncates: np.ndarray) -> list[int]:
    opens = truncates.copy()
    opens[1:] &= ~truncates[:-1]
    opens[0] = True
    return [*np.flatnonzero(opens).tolist(), len(truncates)]


def _keyed_step(target: Target, changes: pa.Table, truncates: np.ndarray, *, is_last: bool) -> LoadStep:
    head = int(truncates.sum())  # all truncates of a step stand at its beginning
    rows = changes.slice(head)
    if target.mode is Mode.MIRROR and not is_last:
        state = state_schema(target.schema).empty_table()
    else:
        state = _state(target, rows)
    truncation = _truncation(changes.slice(0, 1)) if head else None
    return _step(target, changes, state=state, applied=head + _change_count(state, rows), truncation=truncation)


def _step(
    target: Target, changes: pa.Table, *, state: pa.Table, applied: int, truncation: Truncation | None = None
) -> LoadStep:
    counts = StreamCounts(
        changelog_count=changes.num_rows, applied_count=applied, compacted_count=changes.num_rows - applied
    )
    return LoadStep(target=target, changes=changes, state=state, truncate=truncation, counts=counts)


def _state(target: Target, rows: pa.Table) -> pa.Table:
    match target.mode:
        case Mode.MIRROR:
            return compact(rows, target.schema, grain=Grain.KEY)
        case Mode.SOFT_DELETE:
            return compact(rows, target.schema, grain=Grain.KEY, keep_deleted_values=True)
        case Mode.HISTORY:
            return compact(rows, target.schema, grain=Grain.COMMIT, keep_deleted_values=True)
        case Mode.APPEND:
            raise AssertionError("append mode keeps no state")
        case _:
            assert_never(target.mode)


def _truncation(row: pa.Table) -> Truncation:
    return Truncation(sequence=int(row[SEQUENCE][0].as_py()), commit_at=row[COMMIT_AT][0].as_py())


def _change_count(state: pa.Table, rows: pa.Table) -> int:
    """How many rows of ``state`` stand for a change of their own, and not for the old key of a key change."""
    moves = rows[OLD_KEY].is_valid()
    if state.num_rows == 0 or not pc.any(moves).as_py():
        return int(state.num_rows)
    deletes = state[SEQUENCE].filter(pc.equal(state[OP], pa.scalar(int(Operation.DELETE), pa.int8())))
    left = pc.is_in(deletes, value_set=one_array(rows[SEQUENCE].filter(moves)))
    return int(state.num_rows - pc.sum(left, min_count=0).as_py())
