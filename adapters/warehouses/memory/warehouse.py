"""A warehouse in memory: the plainest one that keeps every promise but durability, and the oracle for the others.

The rules of the modes are in ``modes``, transactions in ``load``, comparing in ``comparing``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import attrs
import pyarrow as pa

from adapters.warehouses.memory.comparing import compare_rows, difference_tables
from adapters.warehouses.memory.load import MemoryLoad, fence, table_of
from adapters.warehouses.memory.rows import encode_rows
from adapters.warehouses.memory.store import Store, Table
from adapters.warehouses.memory.widening import is_wider
from adapters.warehouses.refusals import already_begun, foreign_table, refuse_same_epoch
from pipeline.domain.bookmarks import NO_BOOKMARKS
from pipeline.domain.checkpoint import Checkpoint, StreamState
from pipeline.domain.errors import Missing, WarehouseError
from pipeline.domain.finding import Finding, Level
from pipeline.domain.limits import UNLIMITED, ValueLimits
from pipeline.domain.loading import Migration, Target
from pipeline.domain.naming import CHANGELOG, QUARANTINE, STAGING
from pipeline.domain.quarantine import STATUS_WAITING, Waiting
from pipeline.ports.warehouse import Comparison

_STORES: dict[str, Store] = {}


def build(name: str, options: Mapping[str, object], *, pipeline: str = "") -> MemoryWarehouse:
    """A memory warehouse; those of one process with the same option ``store`` hold the same tables."""
    shared = options.get("store")
    store = Store() if shared is None else _STORES.setdefault(str(shared), Store())
    return MemoryWarehouse(name, store)


class MemoryWarehouse:
    """See ``pipeline.ports.warehouse.Warehouse``. What it holds is gone with the process."""

    def __init__(self, name: str, store: Store) -> None:
        self._name = name
        self._store = store

    @property
    def name(self) -> str:
        """The kind and the configured name."""
        return f"memory warehouse {self._name}"

    @property
    def limits(self) -> ValueLimits:
        """None that a batch could reach."""
        return UNLIMITED

    def setup(self, group: str) -> None:
        """Nothing to create; undo migrations that were never recorded."""
        present = self._store.checkpoints.get(group)
        if present is not None:
            self._undo_unrecorded(present)

    def checkpoint(self, group: str) -> Checkpoint | None:
        """The group's checkpoint."""
        return self._store.checkpoints.get(group)

    def states(self, group: str) -> dict[str, StreamState]:
        """The recorded states."""
        return dict(self._store.states.get(group, {}))

    def bookmarks(self, group: str, stream: str) -> pa.Table:
        """The stream's bookmarks."""
        return self._store.bookmarks.get((group, stream), NO_BOOKMARKS)

    def intended(self, group: str) -> bool:
        """Whether ``intend`` was called."""
        return group in self._store.intentions

    def intend(self, group: str) -> None:
        """Record it."""
        self._store.intentions.add(group)

    def begin(self, checkpoint: Checkpoint) -> None:
        """Write the first checkpoint."""
        if checkpoint.group in self._store.checkpoints:
            raise already_begun(checkpoint.group)
        self._store.checkpoints[checkpoint.group] = checkpoint

    def reset(self, previous: Checkpoint, checkpoint: Checkpoint) -> None:
        """Replace the checkpoint by one of a later epoch."""
        refuse_same_epoch(previous, checkpoint)
        self.idle(previous, checkpoint)

    def migrate(self, previous: Checkpoint, migrations: Iterable[Migration]) -> Checkpoint:
        """Create or alter tables, all or none."""
        listed = list(migrations)
        for migration in listed:
            self._refuse_foreign(migration.target)
        present = self._undo_unrecorded(previous)
        for migration in listed:
            target = migration.target
            table = self._store.tables.get(target.table)
            if table is not None and migration.before is not None:
                self._store.unrecorded[target.table] = table
            changed = Table(mode=target.mode, schema=target.schema) if table is None else table.copy()
            changed.migrate(target, migration.changes)
            self._store.tables[target.table] = changed
        return present

    def widens(self, before: pa.DataType, after: pa.DataType) -> bool:
        """Whether every value of the type is one of the other."""
        return is_wider(before, after)

    def load(self, previous: Checkpoint, checkpoint: Checkpoint) -> MemoryLoad:
        """Open a load; of two that are open together the second to commit is fenced."""
        return MemoryLoad(self._store, previous, checkpoint)

    def idle(self, previous: Checkpoint, checkpoint: Checkpoint) -> None:
        """Move the checkpoint alone."""
        fence(self._store, previous)
        self._store.checkpoints[checkpoint.group] = checkpoint

    def rebuild(self, previous: Checkpoint, target: Target) -> Checkpoint:
        """Replay the changelog in the target's mode."""
        self.idle(previous, previous.claimed())
        table = table_of(self._store, target).copy()
        table.rebuild(target.mode)
        self._store.tables[target.table] = table
        states = self._store.states.setdefault(previous.group, {})
        if target.stream in states:
            states[target.stream] = attrs.evolve(states[target.stream], mode=target.mode)
        return previous.claimed()

    def waiting(self, target: Target) -> Waiting:
        """The keys that wait; none where the tables do not exist yet."""
        table = self._store.tables.get(target.table)
        rows = [] if table is None else table.quarantined
        return Waiting(frozenset(row["key"] for row in rows if row["status"] == STATUS_WAITING))

    def compare(self, target: Target, rows: Iterable[pa.Table], *, sample: int = 20) -> Comparison:
        """Compare key by key."""
        held = table_of(self._store, target).current()
        return compare_rows(target.schema, held, rows, waiting=self.waiting(target), sample=sample)

    def differences(self, target: Target, rows: Iterable[pa.Table]) -> tuple[pa.Table, pa.Table]:
        """What ``compare`` counts, as rows."""
        held = table_of(self._store, target).current()
        return difference_tables(target.schema, held, rows, waiting=self.waiting(target))

    def current(self, target: Target) -> pa.Table:
        """The current rows."""
        return encode_rows(table_of(self._store, target).current(), target.schema.arrow())

    def rows(self, target: Target) -> pa.Table:
        """All staging rows."""
        return table_of(self._store, target).staging_table()

    def changelog(self, target: Target) -> pa.Table:
        """All changes."""
        return table_of(self._store, target).changelog_table()

    def quarantined(self, target: Target) -> pa.Table:
        """All quarantined rows."""
        return table_of(self._store, target).quarantine_table()

    def inspect(self) -> tuple[Finding, ...]:
        """Only that nothing here lasts."""
        return (
            Finding(
                Level.INFO,
                "durability",
                "the memory warehouse loses everything when the process ends",
                where=self.name,
                hint="Use it for trials and tests alone.",
            ),
        )

    def audit(self, group: str, *, limit: int = 20) -> list[dict[str, object]]:
        """The latest loads."""
        loads = [audit.record() for audit in self._store.audits if audit.checkpoint.group == group]
        return loads[::-1][:limit]

    def changed_since(self, group: str, load: int) -> frozenset[str]:
        """The streams that later loads changed; a copy of an empty table is the one load that read nothing."""
        return frozenset(
            stream
            for audit in self._store.audits
            if audit.checkpoint.group == group and audit.checkpoint.load > load
            for stream, counts in audit.counts.items()
            if counts.changelog_count or not counts.read_count
        )

    def transformed(self, group: str) -> int:
        """The load that marts are built up to."""
        return self._store.transformed.get(group, -1)

    def set_transformed(self, group: str, load: int) -> None:
        """Record it."""
        self._store.transformed[group] = load

    def query(self, sql: str) -> pa.Table:
        """Run a query over copies of the staging tables, changelogs and quarantine, by an embedded DuckDB."""
        try:
            import duckdb
        except ImportError as error:
            raise Missing("queries need duckdb", where=self.name, hint="Install duckdb.") from error
        tables = {}
        for name, table in self._store.tables.items():
            tables[STAGING, name] = table.staging_table()
            tables[CHANGELOG, name] = table.changelog_table()
            tables[QUARANTINE, name] = table.quarantine_table()
        with duckdb.connect() as connection:
            for schema in (STAGING, CHANGELOG, QUARANTINE):
                connection.execute(f"create schema {schema}")
            for (schema, name), content in tables.items():
                connection.register("content", content)
                connection.execute(f'create table {schema}."{name}" as from content')
            try:
                return connection.sql(sql).to_arrow_table()
            except duckdb.Error as error:
                raise WarehouseError(
                    f"the query failed ({type(error).__name__})", where=self.name, hint="Check the query."
                ) from None

    def close(self) -> None:
        """Nothing to release."""

    def _undo_unrecorded(self, previous: Checkpoint) -> Checkpoint:
        own = {state.table for state in self.states(previous.group).values()} & self._store.unrecorded.keys()
        if not own:
            return previous
        self.idle(previous, previous.claimed())
        self._store.tables.update({table: self._store.unrecorded.pop(table) for table in own})
        return previous.claimed()

    def _refuse_foreign(self, target: Target) -> None:
        if target.table in self._store.foreign:
            raise foreign_table(f"{self.name}, {STAGING}.{target.table}")
