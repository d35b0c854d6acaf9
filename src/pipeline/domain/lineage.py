"""What happened to each key, in order, and which rows of a batch are the same row under different keys.

Values are not looked at here; carrying them from row to row is ``compaction``'s.
"""

from __future__ import annotations

import attrs
import numpy as np
import pyarrow as pa

from pipeline.domain.change import OLD_KEY, OP
from pipeline.domain.keying import key_codes
from pipeline.domain.schema import StreamSchema
from pipeline.domain.valuetext import one_array


@attrs.frozen(eq=False)
class Events:
    """What happened to keys: an event for each change under the key it names, and one more, before it, for the old
    key of each key change: that key was left.

    One entry per event, in order: ``row`` is the change; ``code`` stands for the key, below ``code_count``;
    ``key_row`` is where ``keys`` (arrays by key column) hold it; ``leaves`` marks left keys. ``op`` is per change.
    """

    row: np.ndarray
    code: np.ndarray
    code_count: int
    key_row: np.ndarray
    keys: dict[str, pa.Array]
    leaves: np.ndarray
    op: np.ndarray

    @property
    def has_key_change(self) -> bool:
        """Whether any key was changed."""
        return len(self.row) > len(self.op)


@attrs.frozen(eq=False)
class Lineage:
    """Which events are about one and the same row of the source, whatever its keys.

    ``line`` numbers the lines, per event. ``base_key_row`` says for each line where ``Events.keys`` hold the key that
    its row had before the batch; after an insert, which gives every value, nothing is taken from there.
    """

    line: np.ndarray
    base_key_row: np.ndarray


def events_of(changes: pa.Table, schema: StreamSchema) -> Events:
    """The events of a table of changes without truncates."""
    count = changes.num_rows
    op = changes[OP].to_numpy()
    keys = {name: one_array(changes[name]) for name in schema.key}
    rows = np.arange(count)
    moved = _rows_with_old_key(changes)
    if not len(moved):
        code, code_count = key_codes(list(keys.values()))
        return Events(rows, code, code_count, rows, keys, np.zeros(count, bool), op)
    old = one_array(changes[OLD_KEY]).take(pa.array(moved))
    fields = {field.name: values for field, values in zip(old.type, old.flatten(), strict=True)}
    keys = {name: pa.concat_arrays([values, fields[name]]) for name, values in keys.items()}
    code, code_count = key_codes(list(keys.values()))
    differ = np.flatnonzero(code[count:] != code[moved])
    return _with_leaves(rows, moved[differ], left_key_row=differ + count, code=code, count=code_count, keys=keys, op=op)


def trace(events: Events) -> Lineage:
    """Follow rows through key changes; quick where there is none.

    A key names one row at a time, also within a transaction (a key that PostgreSQL checks only at commit, a
    deferrable one, may break this and has to be refused by the source).
    """
    key_row = np.empty(events.code_count, np.int64)
    key_row[events.code] = events.key_row
    if not events.has_key_change:
        return Lineage(events.code, key_row)
    order = np.argsort(events.code, kind="stable")
    code, leaves = events.code[order], events.leaves[order]
    arrives = np.zeros(len(order), bool)
    arrives[1:] = events.leaves[:-1]
    starts = arrives[order]  # an insert needs no life of its own: it gives every value
    starts[0] = True
    starts[1:] |= (code[1:] != code[:-1]) | leaves[:-1]
    life = np.empty(len(order), np.int64)
    life[order] = np.cumsum(starts) - 1
    line = _roots(life, np.flatnonzero(arrives))
    return Lineage(line[life], key_row[code[np.flatnonzero(starts)]])


def _rows_with_old_key(changes: pa.Table) -> np.ndarray:
    column = changes[OLD_KEY]
    if column.null_count == len(column):
        return np.empty(0, np.int64)
    return np.flatnonzero(column.is_valid().to_numpy())


def _with_leaves(
    rows: np.ndarray,
    moved: np.ndarray,
    *,
    left_key_row: np.ndarray,
    code: np.ndarray,
    count: int,
    keys: dict[str, pa.Array],
    op: np.ndarray,
) -> Events:
    row = np.insert(rows, moved, moved)
    key_row = np.insert(rows, moved, left_key_row)
    leaves = np.insert(np.zeros(len(rows), bool), moved, values=True)
    return Events(row, code[key_row], count, key_row, keys, leaves, op)


def _roots(life: np.ndarray, arrivals: np.ndarray) -> np.ndarray:
    """The first life of the line that each life belongs to: a row that arrives under a key lived under another."""
    parent = np.arange(life.max() + 1)
    parent[life[arrivals]] = life[arrivals - 1]
    while not np.array_equal(further := parent[parent], parent):
        parent = further
    return parent
