"""Undoes migrations that no load recorded, since a run died in between, so that tables are what their state says (D10).

What has to be done is decided by the domain's ``renaming``.
"""

from __future__ import annotations

import duckdb

from adapters.warehouses.duckdb import control, sql
from adapters.warehouses.duckdb.load import fence
from adapters.warehouses.duckdb.tables import alter, columns_of, ensure_staging
from pipeline.domain import naming
from pipeline.domain.checkpoint import Checkpoint
from pipeline.domain.loading import Target
from pipeline.domain.naming import METADATA_PREFIX
from pipeline.domain.renaming import undone
from pipeline.domain.stream import Mode
from pipeline.ports.warehouse import target_of


def undo_unrecorded(connection: duckdb.DuckDBPyConnection, previous: Checkpoint) -> Checkpoint:
    """Bring the tables of every stream of a group back to its recorded schema, within the open transaction.

    Nothing was loaded into columns that only such a migration knows: they are dropped. Where there are any, the
    checkpoint is claimed first, since whoever migrated may still want to load (P4). Returns the present checkpoint.
    """
    query = """SELECT stream FROM pipeline.streams AS s WHERE "group" = $group AND EXISTS (
    SELECT 1 FROM pipeline.migrations AS m
    WHERE m.table_name = s.table_name AND m.schema_version > s.schema_version
)"""
    found = connection.execute(query, {"group": previous.group}).fetchall()
    if not found:
        return previous
    fence(connection, previous, previous.claimed())
    states = control.read_states(connection, previous.group)
    for (stream,) in found:
        target = target_of(states[stream])
        _undo(connection, target)
        connection.execute(
            "DELETE FROM pipeline.migrations WHERE table_name = $table AND schema_version > $version",
            {"table": target.table, "version": target.schema_version},
        )
    return previous.claimed()


def _undo(connection: duckdb.DuckDBPyConnection, target: Target) -> None:
    found = [
        name for name in columns_of(connection, naming.CHANGELOG, target.table) if not name.startswith(METADATA_PREFIX)
    ]
    added, renames = undone(found, target.schema)
    has_view = target.mode is Mode.APPEND
    for name in added:
        for table in (sql.changelog(target),) if has_view else (sql.changelog(target), sql.staging(target)):
            connection.execute(f"ALTER TABLE {table} DROP COLUMN {sql.quote(name)}")
    for rename in renames:
        alter(connection, target, rename)
    if has_view:
        ensure_staging(connection, target)
