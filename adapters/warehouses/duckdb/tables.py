"""Creates and alters a stream's tables, each step recorded, and refuses tables that the pipeline did not make.

Which changes a schema needs is decided by the domain's ``evolution``.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import assert_never

import duckdb
import pyarrow as pa

from adapters.warehouses.duckdb import sql
from adapters.warehouses.duckdb.connection import first_row
from adapters.warehouses.duckdb.types import column_type
from adapters.warehouses.migrationrecord import MARKS, phrase
from adapters.warehouses.refusals import foreign_table, refuse_keyless
from pipeline.domain import naming
from pipeline.domain.canonical import renamed
from pipeline.domain.change import OLD_KEY, UNCHANGED
from pipeline.domain.loading import (
    AddColumn,
    ChangeType,
    DropColumn,
    Migration,
    RenameColumn,
    SchemaChange,
    Target,
)
from pipeline.domain.quarantine import STATUS_WAITING
from pipeline.domain.stream import Mode


def migrate(connection: duckdb.DuckDBPyConnection, migrations: Iterable[Migration]) -> None:
    """Carry out migrations within the open transaction, all checks first."""
    listed = list(migrations)
    for migration in listed:
        _check(connection, migration.target)
    for migration in listed:
        target = migration.target
        if migration.before is None:
            _create(connection, target)
            _record(connection, target, "create")
        for change in migration.changes:
            alter(connection, target, change)
            _record(connection, target, phrase(change, column_type))
        if target.mode is Mode.APPEND:
            ensure_staging(connection, target)


def alter(connection: duckdb.DuckDBPyConnection, target: Target, change: SchemaChange) -> None:
    """Make one change to changelog and staging table, unless it was made before."""
    for schema in (naming.CHANGELOG, naming.STAGING):
        if schema == naming.STAGING and target.mode is Mode.APPEND:
            continue
        table = sql.qualified(schema, target.table)
        columns = columns_of(connection, schema, target.table)
        match change:
            case AddColumn(column) if column.name not in columns:
                connection.execute(f"ALTER TABLE {table} ADD COLUMN {sql.quote(column.name)} {column_type(column)}")
                if column.default is not None:
                    connection.register("added_default", pa.table({"value": pa.repeat(column.default, 1)}))
                    connection.execute(
                        f"UPDATE {table} SET {sql.quote(column.name)} = (SELECT value FROM added_default)"
                    )
            case ChangeType(column) if columns.get(column.name) != column_type(column):
                connection.execute(f"ALTER TABLE {table} ALTER {sql.quote(column.name)} TYPE {column_type(column)}")
            case RenameColumn(name, column) if name in columns and column.name not in columns:
                connection.execute(f"ALTER TABLE {table} RENAME {sql.quote(name)} TO {sql.quote(column.name)}")
                if schema == naming.CHANGELOG:
                    _rename_in_changes(connection, target, name, column.name)
                    _rename_in_quarantine(connection, target, name, column.name)
            case AddColumn() | ChangeType() | RenameColumn() | DropColumn():
                pass  # made before, or a dropped column, which stays
            case _:
                assert_never(change)


def ensure_staging(connection: duckdb.DuckDBPyConnection, target: Target) -> None:
    """Make the staging table what the target's mode needs: a view in append mode, else a table."""
    kind = _kind(connection, naming.STAGING, target.table)
    if target.mode is Mode.APPEND:
        if kind == "table":
            connection.execute(f"DROP TABLE {sql.staging(target)}")
        connection.execute(sql.create_view(target))
    elif kind != "table":
        connection.execute(f"DROP VIEW IF EXISTS {sql.staging(target)}")
        connection.execute(sql.create_staging(target))


def recreate_staging(connection: duckdb.DuckDBPyConnection, target: Target) -> None:
    """An empty staging table in place of what stands there, or the view."""
    if _kind(connection, naming.STAGING, target.table) == "table":
        connection.execute(f"DROP TABLE {sql.staging(target)}")
    ensure_staging(connection, target)


def columns_of(connection: duckdb.DuckDBPyConnection, schema: str, table: str) -> dict[str, str]:
    """The columns of a table or view in order, with their types."""
    query = """SELECT column_name, data_type FROM duckdb_columns()
WHERE database_name = current_database() AND schema_name = $schema AND table_name = $table ORDER BY column_index"""
    return dict(connection.execute(query, {"schema": schema, "table": table}).fetchall())


def _kind(connection: duckdb.DuckDBPyConnection, schema: str, table: str) -> str | None:
    query = """SELECT 'table' FROM duckdb_tables()
WHERE database_name = current_database() AND schema_name = $schema AND table_name = $table
UNION ALL SELECT 'view' FROM duckdb_views()
WHERE database_name = current_database() AND schema_name = $schema AND view_name = $table"""
    row = first_row(connection, query, {"schema": schema, "table": table})
    return None if row is None else str(row[0])


def _check(connection: duckdb.DuckDBPyConnection, target: Target) -> None:
    refuse_keyless(target)
    for column in target.schema.columns:
        column_type(column)
    query = "SELECT 1 FROM pipeline.migrations WHERE table_name = $table LIMIT 1"
    is_recorded = first_row(connection, query, {"table": target.table}) is not None
    for schema, mark in MARKS.items():
        columns = columns_of(connection, schema, target.table)
        if columns and not (is_recorded and mark in columns):
            raise foreign_table(f"{schema}.{target.table}")


def _create(connection: duckdb.DuckDBPyConnection, target: Target) -> None:
    if _kind(connection, naming.CHANGELOG, target.table) is None:
        connection.execute(sql.create_changelog(target))
        ensure_staging(connection, target)
    elif not _holds(connection, target):
        # left by a first copy that was interrupted: the source's schema may have changed since
        connection.execute(f"DROP TABLE {sql.changelog(target)}")
        connection.execute(sql.create_changelog(target))
        recreate_staging(connection, target)
    if _kind(connection, naming.QUARANTINE, target.table) is None:
        connection.execute(sql.create_quarantine(target))


def _holds(connection: duckdb.DuckDBPyConnection, target: Target) -> bool:
    return first_row(connection, f"SELECT 1 FROM {sql.changelog(target)} LIMIT 1") is not None


def _rename_in_changes(connection: duckdb.DuckDBPyConnection, target: Target, old: str, new: str) -> None:
    """The names of columns within changelog rows: those left unchanged, and those of old keys."""
    table = sql.changelog(target)
    connection.execute(
        f"""UPDATE {table} SET {sql.quote(UNCHANGED)} =
    list_transform({sql.quote(UNCHANGED)}, lambda name: CASE WHEN name = $old THEN $new ELSE name END)
WHERE list_contains({sql.quote(UNCHANGED)}, $old)""",
        {"old": old, "new": new},
    )
    if new not in target.schema.key:
        return
    query = f"""SELECT "_cdc_sequence"::VARCHAR, {sql.quote(OLD_KEY)}::VARCHAR FROM {table}
WHERE {sql.quote(OLD_KEY)} IS NOT NULL"""
    for sequence, text in connection.execute(query).fetchall():
        renamed = {new if name == old else name: value for name, value in json.loads(text).items()}
        connection.execute(
            f'UPDATE {table} SET {sql.quote(OLD_KEY)} = $text WHERE "_cdc_sequence" = $sequence',
            {"text": json.dumps(renamed, ensure_ascii=False, separators=(",", ":")), "sequence": int(sequence)},
        )


def _rename_in_quarantine(connection: duckdb.DuckDBPyConnection, target: Target, old: str, new: str) -> None:
    """The names of columns within the rows that wait, so that they are found by their keys and can be loaded again."""
    table = sql.quarantine(target)
    query = f'SELECT rowid, key, "row" FROM {table} WHERE status = $waiting'
    for number, key, row in connection.execute(query, {"waiting": STATUS_WAITING}).fetchall():
        connection.execute(
            f'UPDATE {table} SET key = $key, "row" = $row WHERE rowid = $number',
            {"key": renamed(key, old, new), "row": renamed(row, old, new), "number": number},
        )


def _record(connection: duckdb.DuckDBPyConnection, target: Target, phrase: str) -> None:
    connection.execute(
        """INSERT INTO pipeline.migrations SELECT $table, $version, $phrase, now() WHERE NOT EXISTS (
    SELECT 1 FROM pipeline.migrations
    WHERE table_name = $table AND schema_version = $version AND change = $phrase
)""",
        {"table": target.table, "version": target.schema_version, "phrase": phrase},
    )
