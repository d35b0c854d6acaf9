"""Reduces the changes of a batch to the state of each key: what a warehouse has to write.

Which changes belong together, and what is done about truncates, is ``planning``'s.
"""

from __future__ import annotations

from enum import Enum
from typing import assert_never

import attrs
import numpy as np
import pyarrow as pa

from pipeline.domain.change import COMMIT_AT, COMMIT_AT_TYPE, OP, SEQUENCE, UNCHANGED, UNCHANGED_TYPE, Operation
from pipeline.domain.keying import densify
from pipeline.domain.lineage import Events, events_of, trace
from pipeline.domain.loading import BASE_KEY
from pipeline.domain.position import SEQUENCE_TYPE, transactions_of
from pipeline.domain.schema import StreamSchema
from pipeline.domain.unchanged import Unchanged


class Grain(Enum):
    """What is kept of a key: its last state, or its last state in each commit."""

    KEY = "key"
    COMMIT = "commit"


def state_schema(schema: StreamSchema) -> pa.Schema:
    """The Arrow schema of a state table; ``LoadStep`` tells what its columns mean."""
    return pa.schema(
        [
            *schema.arrow(),
            pa.field(OP, pa.int8()),
            pa.field(SEQUENCE, SEQUENCE_TYPE),
            pa.field(COMMIT_AT, COMMIT_AT_TYPE),
            pa.field(UNCHANGED, UNCHANGED_TYPE),
            pa.field(BASE_KEY, schema.key_type()),
        ]
    )


def compact(changes: pa.Table, schema: StreamSchema, *, grain: Grain, keep_deleted_values: bool = False) -> pa.Table:
    """The states that ``changes`` lead to, following ``state_schema(schema)``, in sequence order.

    ``changes`` follows ``change_schema(schema)``, in sequence order and without truncates; the stream has a key. An
    unchanged column gets the value that an earlier change of the same row gave, under whatever key; where there is
    none it stays in ``_cdc_unchanged``, and ``_cdc_base_key`` is the key that the row had before. A key that was
    changed away leaves a delete with the sequence of that change. With ``keep_deleted_values`` the same is done for
    all non-key columns of deletes; without it a delete is good for its key alone.
    """
    if not schema.key:
        raise ValueError("changes of a stream without a key have no state")
    if changes.num_rows == 0:
        return state_schema(schema).empty_table()
    events = events_of(changes, schema)
    kept = np.flatnonzero(_is_last(events, changes, grain))
    gaps = _find_gaps(events, kept, changes, keep_deleted_values=keep_deleted_values)
    if gaps is None and not events.has_key_change:
        return _whole_rows(changes, schema, kept)
    return _filled_rows(changes, schema, events=events, kept=kept, gaps=gaps)


@attrs.frozen(eq=False)
class _Gaps:
    """Which values events do not give: ``blank`` events none but the key, updates what ``unchanged`` names.

    ``wanted`` are the positions within the kept events whose gaps are to be filled.
    """

    blank: np.ndarray
    unchanged: Unchanged
    wanted: np.ndarray


@attrs.frozen(eq=False)
class _Fill:
    """Where the values of the kept events come from: per column the change row (-1: nowhere), if not their own; and
    per column, where any, the kept events whose value only the base row has.
    """

    source_row: dict[str, np.ndarray]
    missing: dict[str, np.ndarray]


def _is_last(events: Events, changes: pa.Table, grain: Grain) -> np.ndarray:
    match grain:
        case Grain.KEY:
            code, count = events.code, events.code_count
        case Grain.COMMIT:
            transaction = transactions_of(changes[SEQUENCE])[events.row]
            code, count = densify(events.code.astype(np.int64) * (int(transaction[-1]) + 1) + transaction)
        case _:
            assert_never(grain)
    number = np.arange(len(code))
    last = np.empty(count, np.int64)
    last[code] = number  # of several events of one key the last assignment stands
    is_last: np.ndarray = last[code] == number
    return is_last


def _find_gaps(events: Events, kept: np.ndarray, changes: pa.Table, *, keep_deleted_values: bool) -> _Gaps | None:
    """The gaps, None if no kept event has one that matters."""
    is_delete = events.op[events.row] == Operation.DELETE
    blank = events.leaves | is_delete if keep_deleted_values else events.leaves
    unchanged = Unchanged.of(changes)
    has_gap = unchanged.partial()[events.row] & ~is_delete & ~events.leaves
    if keep_deleted_values:
        has_gap |= blank
    wanted = np.flatnonzero(has_gap[kept])
    return _Gaps(blank, unchanged, wanted) if len(wanted) else None


def _whole_rows(changes: pa.Table, schema: StreamSchema, kept: np.ndarray) -> pa.Table:
    rows = changes.select([*schema.names, OP, SEQUENCE, COMMIT_AT])
    if len(kept) < changes.num_rows:
        mask = np.zeros(changes.num_rows, bool)
        mask[kept] = True
        rows = rows.filter(pa.array(mask))
    arrays = [*rows.columns, pa.nulls(len(kept), UNCHANGED_TYPE), pa.nulls(len(kept), schema.key_type())]
    return pa.Table.from_arrays(arrays, schema=state_schema(schema))


def _filled_rows(
    changes: pa.Table, schema: StreamSchema, *, events: Events, kept: np.ndarray, gaps: _Gaps | None
) -> pa.Table:
    lineage = trace(events)
    row = events.row[kept]
    leaves = events.leaves[kept]
    fill = _fill(events, lineage.line, kept, gaps=gaps, schema=schema) if gaps else _Fill({}, {})
    take = _Taker(changes, row, where_own=np.where(leaves, -1, row))
    key_at = pa.array(events.key_row[kept])
    keys = {name: values.take(key_at) for name, values in events.keys.items()}
    data = [keys[name] if name in keys else take.column(name, fill.source_row.get(name)) for name in schema.names]
    op = np.where(leaves, np.int8(Operation.DELETE), events.op[row])
    unchanged, has_base = _unchanged_lists(fill.missing, len(kept))
    base_at = np.where(has_base, lineage.base_key_row[lineage.line[kept]], 0)
    base = [values.take(pa.array(base_at)) for values in events.keys.values()]
    base_key = pa.StructArray.from_arrays(base, fields=list(schema.key_type()), mask=pa.array(~has_base))
    arrays = [*data, pa.array(op, pa.int8()), take.rows(SEQUENCE), take.rows(COMMIT_AT), unchanged, base_key]
    return pa.Table.from_arrays(arrays, schema=state_schema(schema))


def _fill(events: Events, line: np.ndarray, kept: np.ndarray, *, gaps: _Gaps, schema: StreamSchema) -> _Fill:
    """For each column with gaps, find the last event of the same line that gives it."""
    needed = np.zeros(int(line.max()) + 1, bool)
    needed[line[kept[gaps.wanted]]] = True
    order = np.flatnonzero(needed[line])
    order = order[np.argsort(line[order], kind="stable")]
    place = np.empty(len(line), np.int64)
    place[order] = number = np.arange(len(order))
    lines = line[order]
    begins = np.concatenate(([True], lines[1:] != lines[:-1]))
    first = np.maximum.accumulate(np.where(begins, number, 0))
    at = place[kept[gaps.wanted]]
    own_row = np.where(events.leaves[kept], -1, events.row[kept])
    blank, found = gaps.blank[order], _Fill({}, {})
    for name in schema.names:
        named = gaps.unchanged.mask(name)
        if name in schema.key or (named is None and not blank.any()):
            continue
        gap = blank if named is None else blank | (named[events.row[order]] & ~events.leaves[order])
        giver = np.maximum.accumulate(np.where(gap, -1, number))[at]
        is_known = giver >= first[at]
        source_row = own_row.copy()
        source_row[gaps.wanted] = np.where(is_known, events.row[order[giver]], -1)
        found.source_row[name] = source_row
        found.missing[name] = gaps.wanted[~is_known]
    return found


@attrs.frozen(eq=False)
class _Taker:
    """Takes rows out of the columns of ``changes``: ``row`` for metadata, ``where_own`` (-1: null) for data."""

    changes: pa.Table
    row: np.ndarray
    where_own: np.ndarray

    def rows(self, name: str) -> pa.ChunkedArray:
        return self.changes[name] if self._is_all(self.row) else self.changes[name].take(pa.array(self.row))

    def column(self, name: str, source_row: np.ndarray | None) -> pa.ChunkedArray:
        source = self.where_own if source_row is None else source_row
        if self._is_all(source):
            return self.changes[name]
        return self.changes[name].take(pa.array(source, mask=source < 0))

    def _is_all(self, rows: np.ndarray) -> bool:
        return len(rows) == self.changes.num_rows and np.array_equal(rows, np.arange(len(rows)))


def _unchanged_lists(missing: dict[str, np.ndarray], count: int) -> tuple[pa.Array, np.ndarray]:
    """``_cdc_unchanged`` of the kept events, and which of them have any."""
    names = [name for name, rows in missing.items() if len(rows)]
    is_missing = np.zeros((count, len(names)), bool)
    for number, name in enumerate(names):
        is_missing[missing[name], number] = True
    counts = is_missing.sum(axis=1)
    offsets = np.concatenate(([0], np.cumsum(counts))).astype(np.int32)
    values = pa.array(names, pa.string()).take(pa.array(np.nonzero(is_missing)[1]))
    lists = pa.ListArray.from_arrays(pa.array(offsets), values, mask=pa.array(counts == 0))
    return lists, counts > 0
