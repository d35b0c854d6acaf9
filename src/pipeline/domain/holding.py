"""What later changes of a key with quarantined rows do: overtake them, close them, or wait behind them.

Which rows break a rule is ``validation``'s; how a waiting row is written down is ``quarantined``'s.

A key with a waiting row is judged again with each later change (rules in the order of the log):

- a complete image (every column given) passes and marks the waiting rows superseded;
- an update with unchanged columns, or a key change from or to the key, waits behind them;
- a delete passes and closes them; a truncate passes and closes the rows of all keys;
- once a key *change* waits, everything of both its keys waits behind it, deletes too: the staging row still stands
  under the old key, and only loading the changes in order can move it. A truncate closes these as well.

Rows of a stream without a key never wait behind each other.
"""

from __future__ import annotations

from typing import NamedTuple

import attrs
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.domain.canonical import key_texts, old_key_texts
from pipeline.domain.change import OP, SEQUENCE, Misfit, Operation
from pipeline.domain.quarantined import (
    SETTLED_SCHEMA,
    STATUS_CLOSED,
    STATUS_SUPERSEDED,
    Waiting,
    quarantine_rows,
)
from pipeline.domain.schema import StreamSchema
from pipeline.domain.unchanged import Unchanged

#: The reason of a row that broke no rule itself.
REASON_BEHIND = "behind an earlier quarantined change"

_Settled = list[tuple[str | None, int, str]]


@attrs.frozen(eq=False)
class Held:
    """What ``hold`` decided: ``passed`` and ``held`` together are the rows that came in, each in their order."""

    passed: pa.Table
    held: pa.Table
    settled: pa.Table
    waiting: Waiting


@attrs.frozen(eq=False)
class Fates:
    """Row numbers that have to wait behind others, and what becomes of those that waited before."""

    behind: np.ndarray
    settled: pa.Table
    waiting: Waiting


def hold(table: pa.Table, schema: StreamSchema, waiting: Waiting, *, contract_version: str = "") -> Held:
    """Set apart the changes that must wait behind earlier quarantined rows. ``table`` follows ``change_schema``."""
    fates = follow(table, schema, waiting)
    reasons = pa.array([[REASON_BEHIND]] * len(fates.behind), pa.list_(pa.string()))
    held = quarantine_rows(table, schema, fates.behind, reasons=reasons, contract_version=contract_version)
    return Held(without(table, fates.behind), held, fates.settled, fates.waiting)


def follow(
    table: pa.Table,
    schema: StreamSchema,
    waiting: Waiting,
    *,
    broken: np.ndarray | None = None,
    misfits: tuple[Misfit, ...] = (),
) -> Fates:
    """What waits, what overtakes and what closes, in order, when the rows numbered ``broken`` are quarantined.

    Costs nothing when nothing waits and nothing is broken.
    """
    broken_rows = np.empty(0, np.int64) if broken is None else broken
    if not len(broken_rows) and not waiting.keys:
        return Fates(broken_rows, SETTLED_SCHEMA.empty_table(), waiting)
    keys = key_texts(table, schema, misfits=misfits)
    old = old_key_texts(table, schema)
    rows = _concerned(table, keys, old, waiting=waiting, broken=broken_rows, keyed=bool(schema.key))
    walk = _Walk(set(waiting.keys), set(waiting.moved), keyed=bool(schema.key))
    changes = map(
        _Change,
        rows.tolist(),
        table[OP].take(pa.array(rows)).to_pylist(),
        keys.take(pa.array(rows)).to_pylist(),
        old.take(pa.array(rows)).to_pylist(),
        np.isin(rows, broken_rows).tolist(),
        Unchanged.of(table).partial()[rows].tolist(),
    )
    for change in changes:
        walk.take(change)
    after = Waiting(frozenset(walk.waiting), frozenset(walk.moved))
    return Fates(np.array(walk.behind, np.int64), _settled_table(table, walk.settled), after)


def without(table: pa.Table, rows: np.ndarray) -> pa.Table:
    """The table without the rows of these numbers."""
    if not len(rows):
        return table
    keep = np.ones(table.num_rows, dtype=bool)
    keep[rows] = False
    return table.filter(pa.array(keep))


class _Change(NamedTuple):
    """What the walk has to know of one row."""

    row: int
    op: int
    key: str
    old: str | None
    broken: bool
    partial: bool


@attrs.define
class _Walk:
    """The state while the concerned rows are gone through in order."""

    waiting: set[str]
    moved: set[str]
    keyed: bool = attrs.field(kw_only=True)
    behind: list[int] = attrs.field(factory=list)
    settled: _Settled = attrs.field(factory=list)

    def take(self, change: _Change) -> None:
        if change.op == Operation.TRUNCATE:
            self._truncate(change.row)
        elif change.broken or (self.keyed and self._waits(change)):
            if not change.broken:
                self.behind.append(change.row)
            self.waiting.add(change.key)
            if change.old is not None:
                self.waiting.add(change.old)
                self.moved |= {change.key, change.old}
        elif self.keyed and change.key in self.waiting:
            status = STATUS_CLOSED if change.op == Operation.DELETE else STATUS_SUPERSEDED
            self.settled.append((change.key, change.row, status))
            self.waiting.discard(change.key)

    def _waits(self, change: _Change) -> bool:
        key, old = change.key, change.old
        if key in self.moved or (old is not None and (old in self.waiting or key in self.waiting)):
            return True
        return key in self.waiting and change.partial and change.op != Operation.DELETE

    def _truncate(self, row: int) -> None:
        if self.waiting:
            self.settled.append((None, row, STATUS_CLOSED))
            self.waiting.clear()
            self.moved.clear()


def _concerned(
    table: pa.Table, keys: pa.Array, old: pa.Array, *, waiting: Waiting, broken: np.ndarray, keyed: bool
) -> np.ndarray:
    """The rows that can wait, overtake or close: of keys that wait or break here, or that such rows move to."""
    truncates = pc.equal(table[OP].combine_chunks(), Operation.TRUNCATE.value)
    if not keyed:
        return np.union1d(broken, np.flatnonzero(truncates.to_numpy(zero_copy_only=False)))
    at = pa.array(broken)
    names = pa.array(list(waiting.keys), keys.type)
    names = pa.concat_arrays([names, keys.take(at), old.take(at).drop_null()])
    while True:
        hit = pc.is_in(keys, value_set=names)
        if old.null_count == len(old):
            break
        hit = pc.or_(hit, pc.and_(pc.is_in(old, value_set=names), old.is_valid()))
        moving = pc.and_(hit, old.is_valid())
        ends = pa.concat_arrays([keys.filter(moving), old.filter(moving)])
        new = ends.filter(pc.invert(pc.is_in(ends, value_set=names)))
        if not len(new):
            break
        names = pa.concat_arrays([names, new.unique()])
    return np.flatnonzero(pc.or_(hit, truncates).to_numpy(zero_copy_only=False))


def _settled_table(table: pa.Table, settled: _Settled) -> pa.Table:
    if not settled:
        return SETTLED_SCHEMA.empty_table()
    keys, rows, statuses = zip(*settled, strict=True)
    before = table[SEQUENCE].take(pa.array(rows, pa.int64()))
    return pa.table([pa.array(keys, pa.string()), before, pa.array(statuses, pa.string())], schema=SETTLED_SCHEMA)
