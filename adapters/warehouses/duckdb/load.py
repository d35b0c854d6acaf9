"""A load transaction: the checkpoint first, then changelogs and staging tables, committed together (P1, P4).

What is run for a piece is ``applying``'s; how the file is opened is ``connection``'s.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import duckdb
import pyarrow as pa

from adapters.warehouses.duckdb import control, quarantine
from adapters.warehouses.duckdb.applying import Applier
from adapters.warehouses.duckdb.connection import Database, translated
from adapters.warehouses.duckdb.rowgroups import RowGroups
from adapters.warehouses.openload import OpenLoad
from adapters.warehouses.refusals import fenced
from pipeline.domain.checkpoint import Checkpoint, StreamState
from pipeline.domain.counts import StreamCounts
from pipeline.domain.loading import LoadStep, Target


class DuckDBLoad(OpenLoad[duckdb.DuckDBPyConnection]):
    """See ``pipeline.ports.warehouse.Load``. Holds the file until it is committed, failed or left."""

    def __init__(self, database: Database, previous: Checkpoint, checkpoint: Checkpoint) -> None:
        self._database = database
        self._copies: dict[str, RowGroups] = {}
        super().__init__(checkpoint, self._take)
        with self._running() as connection:
            connection.execute("BEGIN")
            fence(connection, previous, checkpoint)
            self._applier = Applier(connection)

    def apply(self, step: LoadStep) -> None:
        """Append the changes, then apply truncate and state; rows of a copy together with others of it."""
        with self._running():
            self._write(self._copies[step.target.table].add(step.changes) if step.is_copy else step)

    def replace(self, target: Target) -> None:
        """Begin a copy, and note it for later rebuilds."""
        self._copies[target.table] = RowGroups(target)
        with self._running() as connection:
            self._applier.begin_copy(target)
            quarantine.supersede(connection, target, self._stamp)
            connection.execute(
                "INSERT INTO pipeline.copies VALUES ($table, $load, $at)",
                {"table": target.table, "load": self._stamp.load, "at": self._stamp.at},
            )

    def finish_replace(self, target: Target) -> None:
        """Write what is left of a copy, and end it."""
        with self._running():
            self._write(self._copies.pop(target.table).rest())
            self._applier.end_copy(target, load=self._stamp.load, at=self._stamp.at)

    def quarantine(self, target: Target, rows: pa.Table) -> None:
        """Keep the rows as waiting."""
        with self._running() as connection:
            quarantine.insert(connection, target, rows, self._stamp)

    def settle(self, target: Target, settled: pa.Table) -> None:
        """Give waiting rows of the keys their status."""
        with self._running() as connection:
            quarantine.settle(connection, target, settled, self._stamp)

    def remember(self, stream: str, bookmarks: pa.Table, *, replaces: bool = False) -> None:
        """Move them."""
        with self._running() as connection:
            control.write_bookmarks(connection, self._checkpoint.group, stream, bookmarks, replaces=replaces)

    def set_state(self, state: StreamState) -> None:
        """Record the state."""
        with self._running() as connection:
            control.write_state(connection, self._checkpoint.group, state)

    def commit(self, counts: Mapping[str, StreamCounts]) -> None:
        """Write the audit rows and commit."""
        with self._running() as connection:
            control.write_audit(connection, self._checkpoint, self._seconds, dict(counts))
            connection.execute("COMMIT")
        self._end()

    def _write(self, step: LoadStep | None) -> None:
        if step is None:
            return
        if step.changes.num_rows:
            self._applier.append(step.target, step.changes, self._stamp)
        if step.truncate is not None:
            self._applier.truncate(step.target, step.truncate, self._stamp)
        self._applier.apply(step.target, self._stamp.onto(step.state), is_copy=step.is_copy)

    @contextmanager
    def _running(self) -> Iterator[duckdb.DuckDBPyConnection]:
        with super()._running() as connection, translated(self._database.path):
            yield connection

    def _take(self) -> duckdb.DuckDBPyConnection:
        """The file, once no other process has it."""
        with translated(self._database.path):
            return self._database.acquire()

    def _let_go(self, held: duckdb.DuckDBPyConnection, error: BaseException | None) -> None:
        """Roll back what is not committed and let the file go."""
        with translated(self._database.path):
            self._database.release(held)


def fence(connection: duckdb.DuckDBPyConnection, previous: Checkpoint, checkpoint: Checkpoint) -> None:
    """Move the checkpoint by compare-and-set; raises ``Fenced`` if another writer moved it, or is moving it."""
    try:
        moved = control.move_checkpoint(connection, previous, checkpoint)
    except duckdb.TransactionException:
        moved = False
    if not moved:
        raise fenced(previous.group)
