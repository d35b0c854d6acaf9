"""What an in-memory warehouse holds: tables, checkpoints, states and audit rows.

Who may change it and when is told in ``load`` and ``warehouse``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import attrs
import pyarrow as pa

from adapters.warehouses.memory.modes import Staging, appended, apply_change, close_unheld
from adapters.warehouses.memory.rows import (
    Change,
    Row,
    Values,
    changelog_record,
    decode,
    encode,
    encode_rows,
    key_of,
    staging_record,
)
from pipeline.domain.canonical import renamed
from pipeline.domain.checkpoint import Checkpoint, StreamState
from pipeline.domain.loading import AddColumn, ChangeType, RenameColumn, SchemaChange, Target
from pipeline.domain.quarantine import STATUS_WAITING
from pipeline.domain.schema import Column, StreamSchema
from pipeline.domain.stream import Mode
from pipeline.domain.tables import QUARANTINE_TABLE_SCHEMA, changelog_schema, staging_schema


@attrs.frozen
class CopyMark:
    """A copy began or ended before the changelog row with this index was appended.

    ``at`` is the time of the load's checkpoint, in microseconds since 1970.
    """

    index: int
    at: int
    is_end: bool = False


@attrs.define(eq=False)
class Table:
    """The staging table, changelog and quarantine of one stream."""

    mode: Mode
    schema: StreamSchema
    staging: Staging = attrs.field(factory=dict)
    changes: list[Change] = attrs.field(factory=list)
    marks: list[CopyMark] = attrs.field(factory=list)
    quarantined: list[dict[str, Any]] = attrs.field(factory=list)

    def copy(self) -> Table:
        """A table that can change while this one stays; rows and changes themselves never change."""
        return Table(
            mode=self.mode,
            schema=self.schema,
            staging=dict(self.staging),
            changes=list(self.changes),
            marks=list(self.marks),
            quarantined=[dict(row) for row in self.quarantined],
        )

    @property
    def key(self) -> tuple[str, ...]:
        """The names of the key columns."""
        return self.schema.key

    def append(self, change: Change) -> None:
        """Append a change to the changelog and apply it to the staging table."""
        self.changes.append(change)
        if self.mode is not Mode.APPEND:
            apply_change(self.staging, change, mode=self.mode, key=self.key)

    def begin_copy(self, *, at: int) -> None:
        """Empty the staging table, or in history mode leave it to be reconciled."""
        self.marks.append(CopyMark(len(self.changes), at))
        if self.mode is not Mode.HISTORY:
            self.staging.clear()

    def end_copy(self, *, at: int) -> None:
        """In history mode, close what the copy did not hold."""
        self.marks.append(CopyMark(len(self.changes), at, is_end=True))
        if self.mode is Mode.HISTORY:
            begun = max(mark.index for mark in self.marks if not mark.is_end)
            held = {key_of(change.values, self.key) for change in self.changes[begun:]}
            highest = max((change.sequence for change in self.changes), default=0)
            close_unheld(self.staging, held, sequence=highest + 1, at=at)

    def rebuild(self, mode: Mode) -> None:
        """Replay changelog and copies from the start in another mode."""
        replayed = Table(mode, self.schema)
        for index in range(len(self.changes) + 1):
            for mark in self.marks:
                if mark.index == index:
                    (replayed.end_copy if mark.is_end else replayed.begin_copy)(at=mark.at)
            if index < len(self.changes):
                replayed.append(self.changes[index])
        self.mode, self.staging = mode, replayed.staging

    def versions(self) -> list[Row]:
        """Every row of the staging table."""
        if self.mode is Mode.APPEND:
            return [appended(change) for change in self.changes]
        return [row for versions in self.staging.values() for row in versions]

    def current(self) -> list[Values]:
        """The data of the rows that are current and not deleted."""
        return [row.values for row in self.versions() if row.current and not row.deleted]

    def staging_table(self) -> pa.Table:
        """The staging table as Arrow."""
        return encode_rows(map(staging_record, self.versions()), staging_schema(self.schema))

    def changelog_table(self) -> pa.Table:
        """The changelog as Arrow."""
        return encode_rows(map(changelog_record, self.changes), changelog_schema(self.schema))

    def quarantine_table(self) -> pa.Table:
        """The quarantine as Arrow."""
        return encode_rows(self.quarantined, QUARANTINE_TABLE_SCHEMA)

    def migrate(self, target: Target, changes: Iterable[SchemaChange]) -> None:
        """Bring the tables to the target's schema, each change unless it was made before."""
        types = {column.name: column.type for column in self.schema.columns}
        for change in (*changes, *map(AddColumn, target.schema.columns)):
            match change:
                case AddColumn(column) if column.name not in types:
                    types[column.name] = column.type
                    self._map_rows(partial(_added, column=column))
                case ChangeType(column) if column.name in types and types[column.name] != column.type:
                    self._map(partial(_retyped, column=column, before=types[column.name]))
                    types[column.name] = column.type
                case RenameColumn(name, column) if name in types and column.name not in types:
                    types[column.name] = types.pop(name)
                    self._map(partial(_renamed, old=name, new=column.name))
                    self._rename_unchanged(name, column.name)
                    self._rename_waiting(name, column.name)
                case _:
                    pass  # made before, or a dropped column, which stays
        self.schema = target.schema
        self.staging = {key_of(versions[0].values, self.key): versions for versions in self.staging.values()}

    def _map_rows(self, function: Callable[[Values], Values]) -> None:
        """Change the data columns of all rows and changes."""
        self.staging = {
            found: tuple(attrs.evolve(row, values=function(row.values)) for row in versions)
            for found, versions in self.staging.items()
        }
        self.changes = [attrs.evolve(change, values=function(change.values)) for change in self.changes]

    def _map(self, function: Callable[[Values], Values]) -> None:
        """Change the data columns of all rows and changes, and their old keys."""
        self._map_rows(function)
        self.changes = [
            change if change.old_key is None else attrs.evolve(change, old_key=function(change.old_key))
            for change in self.changes
        ]

    def _rename_waiting(self, old: str, new: str) -> None:
        self.quarantined = [
            {**row, "key": renamed(row["key"], old, new), "row": renamed(row["row"], old, new)}
            if row["status"] == STATUS_WAITING
            else row
            for row in self.quarantined
        ]

    def _rename_unchanged(self, old: str, new: str) -> None:
        self.changes = [
            change
            if change.unchanged is None
            else attrs.evolve(change, unchanged=tuple(new if name == old else name for name in change.unchanged))
            for change in self.changes
        ]


@attrs.frozen
class Audit:
    """One load that was committed."""

    checkpoint: Checkpoint
    seconds: float
    counts: dict[str, Any]

    def record(self) -> dict[str, object]:
        """As the port gives it."""
        return {
            "load": self.checkpoint.load,
            "position": self.checkpoint.position.encode(),
            "at": self.checkpoint.at,
            "seconds": self.seconds,
            "counts": dict(self.counts),
        }


@attrs.define(eq=False)
class Store:
    """Everything that outlives one ``MemoryWarehouse`` object, as a file would; ``foreign`` are tables of others,
    ``unrecorded`` tables as they were before a migration that no load has recorded yet.
    """

    checkpoints: dict[str, Checkpoint] = attrs.field(factory=dict)
    intentions: set[str] = attrs.field(factory=set)
    states: dict[str, dict[str, StreamState]] = attrs.field(factory=dict)
    tables: dict[str, Table] = attrs.field(factory=dict)
    bookmarks: dict[tuple[str, str], pa.Table] = attrs.field(factory=dict)
    audits: list[Audit] = attrs.field(factory=list)
    transformed: dict[str, int] = attrs.field(factory=dict)
    foreign: set[str] = attrs.field(factory=set)
    unrecorded: dict[str, Table] = attrs.field(factory=dict)


def microseconds(at: datetime) -> int:
    """An instant as microseconds since 1970."""
    since_epoch = at - datetime(1970, 1, 1, tzinfo=UTC)
    return since_epoch // timedelta(microseconds=1)


def _added(values: Values, *, column: Column) -> Values:
    default = None if column.default is None else decode(pa.array([column.default.as_py()], column.type))[0]
    return {**values, column.name: default}


def _retyped(values: Values, *, column: Column, before: pa.DataType) -> Values:
    if column.name not in values:
        return values
    return {**values, column.name: decode(encode([values[column.name]], before).cast(column.type))[0]}


def _renamed(values: Values, *, old: str, new: str) -> Values:
    return {new if name == old else name: value for name, value in values.items()}
