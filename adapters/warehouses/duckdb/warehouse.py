"""DuckDB as a warehouse: one file, held only while something is done with it.

The SQL is in ``sql`` and ``modes``, a load's transaction in ``load``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress

import duckdb
import pyarrow as pa

from adapters.warehouses.changerows import as_changelog
from adapters.warehouses.duckdb import compare, control, inspection, quarantine, sql, tables
from adapters.warehouses.duckdb.connection import Database, first_row
from adapters.warehouses.duckdb.load import DuckDBLoad, fence
from adapters.warehouses.duckdb.rebuild import rebuild
from adapters.warehouses.duckdb.types import widens
from adapters.warehouses.duckdb.undoing import undo_unrecorded
from adapters.warehouses.refusals import already_begun, refuse_same_epoch
from pipeline.domain.bookmarks import NO_BOOKMARKS
from pipeline.domain.checkpoint import Checkpoint, StreamState
from pipeline.domain.errors import PipelineError, SchemaRefused
from pipeline.domain.finding import Finding
from pipeline.domain.limits import UNLIMITED, ValueLimits
from pipeline.domain.loading import Migration, Target
from pipeline.domain.quarantine import Waiting
from pipeline.domain.tables import QUARANTINE_TABLE_SCHEMA, staging_schema
from pipeline.ports.warehouse import Comparison


class DuckDBWarehouse:
    """See ``pipeline.ports.warehouse.Warehouse``."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @property
    def name(self) -> str:
        """The kind and the file."""
        return f"duckdb {self._database.path}"

    @property
    def limits(self) -> ValueLimits:
        """None that a batch could reach."""
        return UNLIMITED

    def setup(self, group: str) -> None:
        """Create the folder, the schemas and the pipeline's own tables; undo migrations that were never recorded."""
        self._database.make_folder()
        with self._transaction() as connection:
            for statement in control.SETUP:
                connection.execute(statement)
            present = control.read_checkpoint(connection, group)
            if present is not None:
                undo_unrecorded(connection, present)

    def checkpoint(self, group: str) -> Checkpoint | None:
        """The group's checkpoint."""
        with self._reading() as connection:
            return None if connection is None else control.read_checkpoint(connection, group)

    def states(self, group: str) -> dict[str, StreamState]:
        """The recorded states."""
        with self._reading() as connection:
            return {} if connection is None else control.read_states(connection, group)

    def bookmarks(self, group: str, stream: str) -> pa.Table:
        """The stream's bookmarks."""
        with self._reading() as connection:
            return NO_BOOKMARKS if connection is None else control.read_bookmarks(connection, group, stream)

    def intended(self, group: str) -> bool:
        """Whether ``intend`` was recorded."""
        with self._reading() as connection:
            query = 'SELECT 1 FROM pipeline.intentions WHERE "group" = $group'
            return connection is not None and first_row(connection, query, {"group": group}) is not None

    def intend(self, group: str) -> None:
        """Record it once."""
        with self._transaction() as connection:
            connection.execute('DELETE FROM pipeline.intentions WHERE "group" = $group', {"group": group})
            connection.execute("INSERT INTO pipeline.intentions VALUES ($group)", {"group": group})

    def begin(self, checkpoint: Checkpoint) -> None:
        """Write the first checkpoint."""
        with self._transaction() as connection:
            if control.read_checkpoint(connection, checkpoint.group) is not None:
                raise already_begun(checkpoint.group)
            control.insert_checkpoint(connection, checkpoint)

    def reset(self, previous: Checkpoint, checkpoint: Checkpoint) -> None:
        """Replace the checkpoint by one of a later epoch."""
        refuse_same_epoch(previous, checkpoint)
        self.idle(previous, checkpoint)

    def migrate(self, previous: Checkpoint, migrations: Iterable[Migration]) -> Checkpoint:
        """Create or alter tables, all or none, in a transaction of their own."""
        with self._transaction() as connection:
            present = undo_unrecorded(connection, previous)
            tables.migrate(connection, migrations)
        return present

    def widens(self, before: pa.DataType, after: pa.DataType) -> bool:
        """Whether ``ALTER COLUMN ... TYPE`` keeps every value."""
        try:
            return widens(before, after)
        except SchemaRefused:
            return False

    def load(self, previous: Checkpoint, checkpoint: Checkpoint) -> DuckDBLoad:
        """Open a load."""
        return DuckDBLoad(self._database, previous, checkpoint)

    def idle(self, previous: Checkpoint, checkpoint: Checkpoint) -> None:
        """Move the checkpoint alone."""
        with self._transaction() as connection:
            fence(connection, previous, checkpoint)

    def rebuild(self, previous: Checkpoint, target: Target) -> Checkpoint:
        """Replay the changelog in the target's mode."""
        with self._transaction() as connection, self._database.hold() as reader:
            fence(connection, previous, previous.claimed())
            rebuild(connection, reader, target)
            connection.execute(
                'UPDATE pipeline.streams SET mode = $mode WHERE "group" = $group AND stream = $stream',
                {"mode": target.mode.value, "group": previous.group, "stream": target.stream},
            )
        return previous.claimed()

    def waiting(self, target: Target) -> Waiting:
        """The keys that wait; none where the tables do not exist yet."""
        with self._reading() as connection:
            if connection is None or not tables.columns_of(connection, "quarantine", target.table):
                return Waiting()
            return quarantine.waiting(connection, target)

    def compare(self, target: Target, rows: Iterable[pa.Table], *, sample: int = 20) -> Comparison:
        """Compare by a join; the rows are spooled to disk before the file is opened."""
        with compare.spooled(rows, target.schema) as wanted, self._database.hold(read_only=True) as connection:
            return compare.compare(connection, target, wanted, sample=sample)

    def differences(self, target: Target, rows: Iterable[pa.Table]) -> tuple[pa.Table, pa.Table]:
        """What ``compare`` counts, as rows."""
        with compare.spooled(rows, target.schema) as wanted, self._database.hold(read_only=True) as connection:
            return compare.differences(connection, target, wanted)

    def current(self, target: Target) -> pa.Table:
        """The current rows."""
        names = sql.columns(target.schema.names)
        query = f'SELECT {names} FROM {sql.staging(target)} WHERE "_cdc_current" AND NOT "_cdc_deleted"'
        return self.query(query).cast(target.schema.arrow())

    def rows(self, target: Target) -> pa.Table:
        """All staging rows."""
        names = sql.columns([*target.schema.names, *sql.METADATA])
        return self.query(f"SELECT {names} FROM {sql.staging(target)}").cast(staging_schema(target.schema))

    def changelog(self, target: Target) -> pa.Table:
        """All changes."""
        return as_changelog(self.query(f"SELECT * FROM {sql.changelog(target)}"), target.schema)

    def quarantined(self, target: Target) -> pa.Table:
        """All quarantined rows."""
        return self.query(f"SELECT * FROM {sql.quarantine(target)}").cast(QUARANTINE_TABLE_SCHEMA)

    def inspect(self) -> tuple[Finding, ...]:
        """Look at the file and at what an interrupted run may have left."""
        return inspection.inspect(self._database)

    def audit(self, group: str, *, limit: int = 20) -> list[dict[str, object]]:
        """The latest loads."""
        with self._reading() as connection:
            return [] if connection is None else control.read_audit(connection, group, limit=limit)

    def changed_since(self, group: str, load: int) -> frozenset[str]:
        """The streams that later loads changed."""
        with self._reading() as connection:
            return frozenset() if connection is None else control.read_changed(connection, group, load)

    def transformed(self, group: str) -> int:
        """The load that marts are built up to."""
        with self._reading() as connection:
            return -1 if connection is None else control.read_transformed(connection, group)

    def set_transformed(self, group: str, load: int) -> None:
        """Record it."""
        with self._transaction() as connection:
            control.write_transformed(connection, group, load)

    def query(self, sql: str) -> pa.Table:
        """Run a query; the file is opened for reading only."""
        with self._database.hold(read_only=True) as connection:
            return connection.sql(sql).to_arrow_table()

    def close(self) -> None:
        """Nothing stays open between calls; leave the file complete in itself.

        Where that fails nothing is lost: whoever opens the file next reads the log beside it.
        """
        with suppress(PipelineError):
            self._database.settle()

    @contextmanager
    def _transaction(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """Commits at the end; an error rolls back, since the connection is closed."""
        with self._database.altering, self._database.hold() as connection:
            connection.execute("BEGIN")
            yield connection
            connection.execute("COMMIT")

    @contextmanager
    def _reading(self) -> Iterator[duckdb.DuckDBPyConnection | None]:
        """A connection for reading, None before ``setup``."""
        if not self._database.exists:
            yield None
            return
        with self._database.hold(read_only=True) as connection:
            yield connection if control.is_set_up(connection) else None
