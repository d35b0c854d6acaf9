"""Applies compacted states as ``LoadStep`` says, in the plainest way: what any warehouse makes of a planner's steps.

The memory warehouse replays raw changes instead; where the two differ, compaction is wrong.
"""

from __future__ import annotations

from collections.abc import Mapping

import attrs

from adapters.warehouses.memory.load import MemoryLoad
from adapters.warehouses.memory.modes import Staging, apply_change
from adapters.warehouses.memory.rows import Change, Row, Values, changes_of, key_of
from adapters.warehouses.memory.store import Store, Table, microseconds
from adapters.warehouses.memory.warehouse import MemoryWarehouse
from pipeline.domain.change import OLD_KEY, Operation
from pipeline.domain.checkpoint import Checkpoint
from pipeline.domain.loading import BASE_KEY, LoadStep
from pipeline.domain.stream import Mode


class StateWarehouse(MemoryWarehouse):
    """A memory warehouse whose loads trust the state of their steps."""

    def __init__(self) -> None:
        self.store = Store()
        super().__init__("of states", self.store)

    def load(self, previous: Checkpoint, checkpoint: Checkpoint) -> MemoryLoad:
        """A load that applies states."""
        return _StateLoad(self.store, previous, checkpoint)


class _StateLoad(MemoryLoad):
    def apply(self, step: LoadStep) -> None:
        table = self._table(step.target)
        told = {"version": step.target.schema_version, "load": self._checkpoint.load, "loaded_at": self._at}
        names = step.target.schema.names
        table.changes += changes_of(step.changes, names, **told)
        if table.mode is Mode.APPEND:
            return
        if step.truncate is not None:
            self._truncate(table, step)
        state = step.state.rename_columns([OLD_KEY if name == BASE_KEY else name for name in step.state.column_names])
        before = dict(table.staging)
        for change in changes_of(state, names, **told):
            _apply_state(table, change, before)

    def _truncate(self, table: Table, step: LoadStep) -> None:
        assert step.truncate is not None
        change = Change(
            values={},
            op=Operation.TRUNCATE,
            sequence=step.truncate.sequence,
            commit_at=microseconds(step.truncate.commit_at),
            unchanged=None,
            old_key=None,
            schema_version=step.target.schema_version,
            load=self._checkpoint.load,
            loaded_at=self._at,
        )
        apply_change(table.staging, change, mode=table.mode, key=table.key)


def _apply_state(table: Table, change: Change, before: Mapping[object, tuple[Row, ...]]) -> None:
    """``change.old_key`` is the base key here."""
    base: Values = {}
    if change.old_key is not None:
        versions = before.get(key_of(change.old_key, table.key), ())
        base = versions[-1].values if versions else {}
    values = {**change.values, **{name: base.get(name) for name in change.unchanged or ()}}
    filled = attrs.evolve(change, values=values, unchanged=None, old_key=None)
    apply_change(table.staging, filled, mode=table.mode, key=table.key)
    if table.mode is Mode.SOFT_DELETE and change.op is Operation.DELETE:
        _keep_values(table.staging, filled, table.key)


def _keep_values(staging: Staging, change: Change, key: tuple[str, ...]) -> None:
    """A tombstone has the last values that the state tells."""
    found = key_of(change.values, key)
    row = staging[found][-1]
    if row.sequence == change.sequence:
        staging[found] = (attrs.evolve(row, values=change.values),)
