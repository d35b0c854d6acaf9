"""A load transaction over copies of the tables, which replace them on commit.

What changes do to rows is told in ``modes``.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from types import TracebackType

import pyarrow as pa

from adapters.warehouses.memory.rows import changes_of, decode_rows
from adapters.warehouses.memory.store import Audit, Store, Table, microseconds
from adapters.warehouses.refusals import fenced, load_is_over
from pipeline.domain.bookmarks import NO_BOOKMARKS, moved
from pipeline.domain.change import change_schema
from pipeline.domain.checkpoint import Checkpoint, StreamState
from pipeline.domain.counts import StreamCounts
from pipeline.domain.errors import WarehouseError
from pipeline.domain.loading import LoadStep, Target
from pipeline.domain.quarantine import STATUS_SUPERSEDED, STATUS_WAITING


class MemoryLoad:
    """See ``pipeline.ports.warehouse.Load``."""

    def __init__(self, store: Store, previous: Checkpoint, checkpoint: Checkpoint) -> None:
        self._store = store
        self._previous = previous
        self._checkpoint = checkpoint
        self._at = microseconds(checkpoint.at)
        self._started = time.monotonic()
        self._tables: dict[str, Table] = {}
        self._states: dict[str, StreamState] = {}
        self._bookmarks: dict[str, pa.Table] = {}
        self._is_open = True
        fence(store, previous)

    def __enter__(self) -> MemoryLoad:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._is_open = False

    def apply(self, step: LoadStep) -> None:
        """Replay the changes one by one; the compacted state is not looked at."""
        table = self._table(step.target)
        if step.target.mode is not table.mode:
            raise WarehouseError(
                f"the staging table was built in mode {table.mode.value}",
                where=step.target.table,
                hint=f"Rebuild it in mode {step.target.mode.value} first.",
            )
        if step.changes.schema != change_schema(step.target.schema):
            raise WarehouseError("the changes do not have the columns of the target", where=step.target.table)
        changes = changes_of(
            step.changes,
            step.target.schema.names,
            version=step.target.schema_version,
            load=self._checkpoint.load,
            loaded_at=self._at,
        )
        for change in changes:
            table.append(change)

    def replace(self, target: Target) -> None:
        """Begin a copy."""
        table = self._table(target)
        table.mode = target.mode
        table.begin_copy(at=self._at)
        for row in table.quarantined:
            self._settle(row, STATUS_SUPERSEDED)

    def finish_replace(self, target: Target) -> None:
        """End a copy."""
        self._table(target).end_copy(at=self._at)

    def quarantine(self, target: Target, rows: pa.Table) -> None:
        """Keep the rows as waiting."""
        added = {
            "status": STATUS_WAITING,
            "load": self._checkpoint.load,
            "quarantined_at": self._at,
            "settled_load": None,
            "settled_at": None,
        }
        self._table(target).quarantined += [{**row, **added} for row in decode_rows(rows)]

    def settle(self, target: Target, settled: pa.Table) -> None:
        """Give waiting rows of the keys their status."""
        for wanted in decode_rows(settled):
            for row in self._table(target).quarantined:
                if wanted["key"] in (None, row["key"]) and row["sequence"] < wanted["before"]:
                    self._settle(row, wanted["status"])

    def remember(self, stream: str, bookmarks: pa.Table, *, replaces: bool = False) -> None:
        """Keep them until commit."""
        self._check_open()
        kept = self._bookmarks.get(stream, self._store.bookmarks.get((self._checkpoint.group, stream), NO_BOOKMARKS))
        self._bookmarks[stream] = moved(NO_BOOKMARKS if replaces else kept, bookmarks)

    def set_state(self, state: StreamState) -> None:
        """Keep the state until commit."""
        self._check_open()
        self._states[state.stream] = state

    def commit(self, counts: Mapping[str, StreamCounts]) -> None:
        """Let the copies take the place of the tables, if no other writer was there."""
        self._check_open()
        self._is_open = False
        fence(self._store, self._previous)
        group = self._checkpoint.group
        self._store.checkpoints[group] = self._checkpoint
        self._store.tables.update(self._tables)
        self._store.states.setdefault(group, {}).update(self._states)
        self._store.bookmarks.update({(group, stream): kept for stream, kept in self._bookmarks.items()})
        for state in self._states.values():
            self._store.unrecorded.pop(state.table, None)
        self._store.audits.append(Audit(self._checkpoint, time.monotonic() - self._started, dict(counts)))

    def _settle(self, row: dict[str, object], status: str) -> None:
        if row["status"] == STATUS_WAITING:
            row.update(status=status, settled_load=self._checkpoint.load, settled_at=self._at)

    def _table(self, target: Target) -> Table:
        self._check_open()
        if target.table not in self._tables:
            self._tables[target.table] = table_of(self._store, target).copy()
        return self._tables[target.table]

    def _check_open(self) -> None:
        if not self._is_open:
            raise load_is_over(self._checkpoint.group)


def table_of(store: Store, target: Target) -> Table:
    """The tables of a target; raises ``WarehouseError`` if they were never created."""
    found = store.tables.get(target.table)
    if found is None:
        raise WarehouseError("the staging table does not exist", where=target.table, hint="Run the migration first.")
    return found


def fence(store: Store, previous: Checkpoint) -> None:
    """Raise ``Fenced`` unless the group's checkpoint still is ``previous``."""
    stored = store.checkpoints.get(previous.group)
    if stored is None or (stored.position, stored.load, stored.epoch) != (
        previous.position,
        previous.load,
        previous.epoch,
    ):
        raise fenced(previous.group)
