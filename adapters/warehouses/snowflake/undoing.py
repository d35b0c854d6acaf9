"""Undoes migrations that no load recorded, since a run died in between, so that tables are what their state says (D10).

What has to be done is decided by the domain's ``renaming``, and told for each table by the places of its columns, so
that it may be interrupted anywhere and done again. Names within rows are one transaction, which is noted (``renames``).
"""

from __future__ import annotations

from collections.abc import Iterable

import attrs

from adapters.warehouses.snowflake import control, sql
from adapters.warehouses.snowflake.renames import undo_in_rows
from adapters.warehouses.snowflake.session import Session
from adapters.warehouses.snowflake.statement import Statement, quote, stored
from adapters.warehouses.snowflake.tables import Maker
from pipeline.domain import naming
from pipeline.domain.loading import Target
from pipeline.domain.naming import METADATA_PREFIX
from pipeline.domain.renaming import undone
from pipeline.domain.schema import StreamSchema
from pipeline.domain.stream import Mode


def unrecorded(session: Session, group: str) -> tuple[str, ...]:
    """The streams of a group whose tables a migration after their recorded state has changed."""
    query = f"""SELECT DISTINCT s.{quote("stream")} FROM {control.own("streams")} AS s
JOIN {control.own("migrations")} AS m ON m.{quote("table_name")} = s.{quote("table_name")}
    AND m.{quote("schema_version")} > s.{quote("schema_version")}
WHERE s.{control.is_of(group)}"""
    return tuple(stream for (stream,) in session.rows(Statement(query)))


def undo(maker: Maker, targets: Iterable[Target]) -> None:
    """Bring the tables of streams back to the targets' schema, as recorded; nobody else may be about to load into them.

    Nothing was loaded into columns that only such a migration knows: they are dropped.
    """
    for target in targets:
        _undo(maker, target)
        own = control.own("migrations")
        forget = f"DELETE FROM {own} WHERE {quote('table_name')} = ? AND {quote('schema_version')} > ?"
        maker.session.execute(Statement(forget, [target.table, target.schema_version]))


def _undo(maker: Maker, target: Target) -> None:
    kept = _as_stored(target.schema)
    undo_in_rows(maker.sessions, target)
    _undo_table(maker, naming.CHANGELOG, target, kept)
    if target.mode is Mode.APPEND:
        maker.ensure_staging(target)
    else:
        _undo_table(maker, naming.STAGING, target, kept)


def _undo_table(maker: Maker, schema: str, target: Target, kept: StreamSchema) -> None:
    table = sql.staging(target) if schema == naming.STAGING else sql.changelog(target)
    added, renames = undone(_data_columns(maker, schema, target), kept)
    for name in added:
        maker.drop_column(table, name)
    for rename in renames:
        maker.rename(table, rename.name, rename.column.name)


def _data_columns(maker: Maker, schema: str, target: Target) -> list[str]:
    return [name for name in maker.columns(schema, target.table) if not name.startswith(stored(METADATA_PREFIX))]


def _as_stored(schema: StreamSchema) -> StreamSchema:
    """The schema with names as a table tells them."""
    columns = [attrs.evolve(column, name=stored(column.name)) for column in schema.columns]
    return StreamSchema(columns, key=[stored(name) for name in schema.key])
