"""Creates and alters a stream's tables, each step recorded, and refuses tables that the pipeline did not make.

Which changes a schema needs is decided by the domain's ``evolution``. A statement here commits by itself, since it is
DDL, so each is safe to meet again: a run that died between two of them goes on, or is undone (``undoing``).
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import assert_never

import attrs

from adapters.warehouses.migrationrecord import MARKS, phrase
from adapters.warehouses.refusals import foreign_table, refuse_keyless
from adapters.warehouses.snowflake import control, sql
from adapters.warehouses.snowflake.defaults import constant, fill
from adapters.warehouses.snowflake.renames import rename_in_rows, renames_of
from adapters.warehouses.snowflake.session import Session
from adapters.warehouses.snowflake.sessions import Sessions
from adapters.warehouses.snowflake.statement import Statement, literal, qualified, quote, stored
from adapters.warehouses.snowflake.types import INSTANT, alters_in_place, column_type
from pipeline.domain import naming
from pipeline.domain.loading import (
    AddColumn,
    ChangeType,
    DropColumn,
    Migration,
    RenameColumn,
    SchemaChange,
    Target,
)
from pipeline.domain.schema import Column
from pipeline.domain.stream import Mode


@attrs.frozen
class Maker:
    """Makes and alters tables on the thread's session."""

    sessions: Sessions
    session: Session = attrs.field(init=False, default=attrs.Factory(lambda self: self.sessions.get(), takes_self=True))

    @property
    def transient(self) -> bool:
        """Whether changelogs have no Fail-safe."""
        return self.sessions.options.transient_changelogs

    def migrate(self, migrations: Iterable[Migration]) -> None:
        """Carry out migrations, all checks first."""
        listed = list(migrations)
        for migration in listed:
            self._check(migration.target)
        for migration in listed:
            target = migration.target
            if migration.before is None:
                self._create(target)
                self._record(target, "create")
            for change in migration.changes:
                self._record(
                    target, phrase(change, column_type)
                )  # first, or nobody would know that there is something to undo
                self._alter(target, change)
            rename_in_rows(self.sessions, target, renames_of(migration.changes))
            if target.mode is Mode.APPEND:
                self.ensure_staging(target)

    def ensure_staging(self, target: Target) -> None:
        """Make the staging table what the target's mode needs: a view in append mode, else a table."""
        kind = self.kind(naming.STAGING, target.table)
        if target.mode is Mode.APPEND:
            if kind == "TABLE":
                self._run(f"DROP TABLE {sql.staging(target)}")
            self._run(sql.create_view(target))
        elif kind != "TABLE":
            self._run(f"DROP VIEW IF EXISTS {sql.staging(target)}")
            self._run(sql.create_staging(target, sql.staging(target)))

    def kind(self, schema: str, table: str) -> str | None:
        """``TABLE`` or ``VIEW``, None if nothing of this name is there."""
        return self._kinds(table).get(stored(schema))

    def columns(self, schema: str, table: str) -> dict[str, str]:
        """The stored names of a table's or view's columns in order, with their types; empty if there is none."""
        kind = self.kind(schema, table)
        if kind is None:
            return {}
        rows = self.session.named_rows(Statement(f"SHOW COLUMNS IN {kind} {qualified(schema, table)}"))
        return {str(row["column_name"]): _shown_type(str(row["data_type"])) for row in rows}

    def rename(self, table: str, old: str, new: str) -> None:
        """Rename a column of one table."""
        self._run(f"ALTER TABLE {table} RENAME COLUMN {quote(old)} TO {quote(new)}")

    def drop_column(self, table: str, name: str) -> None:
        """Drop a column of one table."""
        self._run(f"ALTER TABLE {table} DROP COLUMN IF EXISTS {quote(name)}")

    def _kinds(self, table: str) -> dict[str, str]:
        """What stands under a name, by schema."""
        name = stored(table)
        rows = self.session.named_rows(Statement(f"SHOW OBJECTS LIKE {literal(name)} IN DATABASE"))
        return {str(row["schema_name"]): str(row["kind"]) for row in rows if row["name"] == name}

    def _check(self, target: Target) -> None:
        refuse_keyless(target)
        for column in target.schema.columns:
            column_type(column)
        query = f"SELECT 1 FROM {control.own('migrations')} WHERE {quote('table_name')} = ? LIMIT 1"
        is_recorded = bool(self.session.rows(Statement(query, [target.table])))
        kinds = self._kinds(target.table)
        for schema, mark in MARKS.items():
            if stored(schema) not in kinds:
                continue
            if not (is_recorded and stored(mark) in self.columns(schema, target.table)):
                raise foreign_table(f"{stored(schema)}.{stored(target.table)}")

    def _create(self, target: Target) -> None:
        self._record(target, "begin to create")  # or what is made next would be taken for somebody else's
        if self.kind(naming.CHANGELOG, target.table) is not None and not self._holds(target):
            # left by a first copy that was interrupted: the source's schema may have changed since
            self._run(f"DROP TABLE {sql.changelog(target)}")
            if self.kind(naming.STAGING, target.table) == "TABLE":
                self._run(f"DROP TABLE {sql.staging(target)}")
        self._run(sql.create_changelog(target, transient=self.transient))
        self._run(sql.create_quarantine(target))
        self.ensure_staging(target)

    def _holds(self, target: Target) -> bool:
        return bool(self.session.rows(Statement(f"SELECT 1 FROM {sql.changelog(target)} LIMIT 1")))

    def _alter(self, target: Target, change: SchemaChange) -> None:
        schemas = (naming.CHANGELOG,) if target.mode is Mode.APPEND else (naming.CHANGELOG, naming.STAGING)
        for schema in schemas:
            self._alter_table(qualified(schema, target.table), self.columns(schema, target.table), change)

    def _alter_table(self, table: str, found: dict[str, str], change: SchemaChange) -> None:
        match change:
            case AddColumn(column):
                default = constant(column)
                if stored(column.name) not in found:
                    clause = "" if default is None else f" DEFAULT {default}"
                    self._run(f"ALTER TABLE {table} ADD COLUMN {quote(column.name)} {column_type(column)}{clause}")
                if column.default is not None and default is None:
                    # again, too, after a run that died in between: nothing was loaded with the column yet
                    self.session.execute(fill(table, column))
            case ChangeType(column):
                self._change_type(table, found, column)
            case RenameColumn(name, column):
                if stored(name) in found and (stored(column.name) not in found):
                    self.rename(table, name, column.name)
            case DropColumn():
                pass  # it stays
            case _:
                assert_never(change)

    def _change_type(self, table: str, found: dict[str, str], column: Column) -> None:
        before, after, name = found[stored(column.name)], column_type(column), quote(column.name)
        if before == after:
            return
        if alters_in_place(before, after):
            self._run(f"ALTER TABLE {table} ALTER COLUMN {name} SET DATA TYPE {after}")
            return
        kept = [f"CAST({name} AS {after}) AS {name}" if each == stored(column.name) else quote(each) for each in found]
        word = "TRANSIENT TABLE" if self._is_transient(table) else "TABLE"
        # in one statement, so that the column keeps its place and nobody sees the table without its rows
        self._run(f"CREATE OR REPLACE {word} {table} COPY GRANTS AS\nSELECT {', '.join(kept)}\nFROM {table}")

    def _is_transient(self, table: str) -> bool:
        return self.transient and table.startswith(f"{quote(naming.CHANGELOG)}.")

    def _record(self, target: Target, phrase: str) -> None:
        self.session.execute(control.note_migration(target, phrase))

    def _run(self, text: str) -> None:
        self.session.execute(Statement(text))


def _shown_type(described: str) -> str:
    """A type as ``SHOW COLUMNS`` describes it, spelt as ``column_type`` does."""
    told = json.loads(described)
    kind = str(told["type"])
    if kind == "FIXED":
        return f"NUMBER({told['precision']},{told['scale']})"
    names = {"TEXT": "VARCHAR", "REAL": "FLOAT", "TIMESTAMP_TZ": INSTANT, "TIMESTAMP_NTZ": "TIMESTAMP_NTZ(6)"}
    return names.get(kind, "TIME(6)" if kind == "TIME" else kind)
