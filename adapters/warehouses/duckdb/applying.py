"""Runs the statements of one piece, in the order that keeps base rows readable and newer rows safe.

The statements are in ``sql`` and ``modes``; the transaction around them is ``load``'s or ``rebuild``'s.
"""

from __future__ import annotations

from datetime import datetime

import duckdb
import pyarrow as pa

from adapters.warehouses.changerows import Stamp, labelled, lowest_sequence, unchanged_names
from adapters.warehouses.duckdb import modes, sql
from adapters.warehouses.duckdb.connection import first_row
from adapters.warehouses.duckdb.incoming import as_json, changelog_rows, constants
from adapters.warehouses.duckdb.modes import history
from adapters.warehouses.duckdb.relay import Relay
from adapters.warehouses.duckdb.sql import Statement
from adapters.warehouses.duckdb.tables import ensure_staging
from pipeline.domain.loading import Target, Truncation
from pipeline.domain.stream import Mode


class Applier:
    """Applies pieces on a connection within an open transaction."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self._connection = connection
        self._relay = Relay(connection)
        self._copied: set[str] = set()

    def append(self, target: Target, changes: pa.Table, stamp: Stamp) -> None:
        """Append changes to the changelog."""
        rows = changelog_rows(changes, target.schema, version=target.schema_version, stamp=stamp)
        self._connection.execute(sql.append_changes(target, self._relation("incoming_changes", rows)))
        self._relay.clear()

    def truncate(self, target: Target, truncation: Truncation, stamp: Stamp) -> None:
        """Apply a TRUNCATE to the staging table."""
        for statement in modes.truncate(target, truncation, stamp):
            self._run(statement)

    def apply(self, target: Target, state: pa.Table, *, is_copy: bool = False) -> None:
        """Apply a state, which carries ``_cdc_load`` and ``_cdc_loaded_at``, to the staging table; ``is_copy`` as in
        ``LoadStep``: no key in it comes twice in the whole copy.
        """
        if target.mode is Mode.APPEND or state.num_rows == 0:
            return
        source = self._relation("incoming_state", as_json(labelled(state), target.schema))
        if target.table in self._copied and target.mode is Mode.HISTORY:
            self._connection.execute(history.add_held(target, source))
        for statement in self._writes(target, source, state, is_copy=is_copy):
            self._connection.execute(statement)
        self._relay.clear()

    def begin_copy(self, target: Target) -> None:
        """Empty the staging table, or in history mode begin to note what the copy holds."""
        ensure_staging(self._connection, target)
        self._copied.add(target.table)
        if target.mode is Mode.HISTORY:
            self._connection.execute(history.begin_held(target))
        elif target.mode is not Mode.APPEND:
            self._connection.execute(f"DELETE FROM {sql.staging(target)}")

    def end_copy(self, target: Target, *, load: int, at: datetime) -> None:
        """In history mode close what the copy did not hold. ``load`` is the copy's."""
        self._copied.discard(target.table)
        if target.mode is Mode.HISTORY:
            query = f'SELECT max("_cdc_sequence")::VARCHAR FROM {sql.changelog(target)} WHERE "_cdc_load" <= $load'
            (highest,) = self._connection.execute(query, {"load": load}).fetchall()[0]
            self._run(history.close_unheld(target, sequence=int(highest or 0) + 1, at=at))

    def _writes(self, target: Target, source: str, state: pa.Table, *, is_copy: bool) -> tuple[str, ...]:
        if is_copy and target.table in self._copied and target.mode is not Mode.HISTORY:
            return modes.fill(target, source)  # emptied before
        is_filled = self._any(sql.is_filled(target))
        if is_filled:
            source = self._prepared(target, source, state)
        write = modes.fill if self._is_first(target, source, is_filled=is_filled) else modes.upsert
        return write(target, source)

    def _prepared(self, target: Target, source: str, state: pa.Table) -> str:
        """The relation with values of base rows filled in, and without rows that are older than what is stored."""
        if names := unchanged_names(state):
            self._connection.execute(sql.resolve(target, source, names))
            source = sql.RESOLVED
        newer = sql.newer_exists(target, lowest_sequence(state))
        if self._any(newer.text, newer.values):
            self._connection.execute(sql.keep_newer(target, source))
            source = sql.FRESH
        return source

    def _is_first(self, target: Target, source: str, *, is_filled: bool) -> bool:
        if target.mode is Mode.HISTORY:
            return self._any(history.is_first(target, source))
        return not is_filled

    def _any(self, query: str, values: dict[str, object] | None = None) -> bool:
        return first_row(self._connection, query, values) is not None

    def _run(self, statement: Statement) -> None:
        self._connection.execute(statement.text, statement.values)

    def _relation(self, name: str, table: pa.Table) -> str:
        """The table as statements can read it, its constant columns as literals."""
        known = constants(table)
        return sql.with_constants(self._relay.put(name, table.drop_columns(list(known))), known)
