"""Snowflake as a warehouse: a session for each thread, signed in when needed, and files on a stage of its own.

The SQL is in ``sql``, ``modes`` and ``control``, a load's transaction in ``load``.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from typing import TypeVar

import pyarrow as pa

from adapters.warehouses.changerows import as_changelog
from adapters.warehouses.refusals import refuse_same_epoch
from adapters.warehouses.snowflake import (
    audit,
    bookmarks,
    compare,
    control,
    inspection,
    quarantine,
    rebuild,
    sql,
    uploading,
    workfolders,
)
from adapters.warehouses.snowflake.files import FileColumn, file_columns, showing, shown
from adapters.warehouses.snowflake.ledger import NO_OBJECT, NO_SCHEMA, Ledger
from adapters.warehouses.snowflake.load import SnowflakeLoad
from adapters.warehouses.snowflake.options import SnowflakeOptions
from adapters.warehouses.snowflake.session import Session
from adapters.warehouses.snowflake.sessions import Sessions
from adapters.warehouses.snowflake.statement import Statement, quote
from adapters.warehouses.snowflake.tables import Maker
from adapters.warehouses.snowflake.types import widens
from adapters.warehouses.snowflake.undoing import undo, unrecorded
from pipeline.domain.bookmarks import NO_BOOKMARKS
from pipeline.domain.checkpoint import Checkpoint, StreamState
from pipeline.domain.errors import PipelineError, SchemaRefused
from pipeline.domain.finding import Finding
from pipeline.domain.limits import ValueLimits
from pipeline.domain.loading import Migration, Target
from pipeline.domain.quarantine import Waiting
from pipeline.domain.tables import CURRENT, DELETED, QUARANTINE_TABLE_SCHEMA, staging_schema
from pipeline.ports.warehouse import Comparison, target_of

_Result = TypeVar("_Result")

#: What a column takes unless it is declared larger: https://docs.snowflake.com/en/sql-reference/data-types-text
LIMITS = ValueLimits(text_bytes=16 * 1024 * 1024, binary_bytes=8 * 1024 * 1024, document_digits=38)


class SnowflakeWarehouse:
    """See ``pipeline.ports.warehouse.Warehouse``."""

    def __init__(self, options: SnowflakeOptions, *, pipeline: str = "") -> None:
        self._options = options
        self._sessions = Sessions(options, pipeline=pipeline)
        self._ledger = Ledger(self._sessions)
        #: Held while what all groups share is made, so that it is made once; against other processes see ``control``.
        self._making = threading.Lock()

    @property
    def name(self) -> str:
        """The kind, the account and the database."""
        return self._options.place

    @property
    def limits(self) -> ValueLimits:
        """Those of VARCHAR and VARIANT, and of BINARY; a number in a VARIANT has the digits of a NUMBER."""
        return LIMITS

    def setup(self, group: str) -> None:
        """Create what is missing; undo migrations that were never recorded; sweep what was left in stage and disk."""
        with self._making:
            self._sessions.call(control.create_missing)
        present = self._ledger.read(group)
        if present is not None:
            states = self.states(group)  # neither step changes what is recorded
            present = self._undo_unrecorded(present, states)
            for target in rebuild.unfinished(self._sessions.get(), states.values()):
                present = self.rebuild(present, target)
        uploading.sweep(self._sessions.get())
        workfolders.sweep(self._options.work_folder)

    def checkpoint(self, group: str) -> Checkpoint | None:
        """The group's checkpoint."""
        return self._ledger.read(group)

    def states(self, group: str) -> dict[str, StreamState]:
        """The recorded states."""
        nothing: dict[tuple[str, str], StreamState] = {}
        found = self._before_setup(lambda session: control.read_states(session, group), nothing)
        return {stream: state for (_, stream), state in found.items()}

    def bookmarks(self, group: str, stream: str) -> pa.Table:
        """The stream's bookmarks."""
        return self._before_setup(lambda session: bookmarks.read(session, group, stream), NO_BOOKMARKS)

    def intended(self, group: str) -> bool:
        """Whether ``intend`` was recorded."""
        return self._before_setup(lambda session: control.is_intended(session, group), False)

    def intend(self, group: str) -> None:
        """Record it once."""
        self._run(control.intend(group))

    def begin(self, checkpoint: Checkpoint) -> None:
        """Make the group's table with the first checkpoint."""
        self._ledger.begin(checkpoint)

    def reset(self, previous: Checkpoint, checkpoint: Checkpoint) -> None:
        """Replace the checkpoint's row by one of a later epoch, which makes an idle comment of the old one void."""
        refuse_same_epoch(previous, checkpoint)
        self._ledger.move(previous, checkpoint)

    def migrate(self, previous: Checkpoint, migrations: Iterable[Migration]) -> Checkpoint:
        """Create or alter tables step by step."""
        present = self._undo_unrecorded(previous)
        self._maker().migrate(migrations)
        return present

    def widens(self, before: pa.DataType, after: pa.DataType) -> bool:
        """Whether the column can take the type where it stands."""
        try:
            return widens(before, after)
        except SchemaRefused:
            return False

    def load(self, previous: Checkpoint, checkpoint: Checkpoint) -> SnowflakeLoad:
        """Open a load."""
        row = self._ledger.take(previous)
        return SnowflakeLoad(self._sessions, row, checkpoint, on_commit=lambda: self._ledger.moved(checkpoint))

    def idle(self, previous: Checkpoint, checkpoint: Checkpoint) -> None:
        """Write the checkpoint as a comment, which needs no warehouse (P12)."""
        self._ledger.idle(previous, checkpoint)

    def rebuild(self, previous: Checkpoint, target: Target) -> Checkpoint:
        """Replay the changelog in the target's mode."""
        row, claimed = self._ledger.take(previous, again=True), previous.claimed()
        rebuild.rebuild(self._sessions, row, claimed, target)
        self._ledger.moved(claimed)
        return claimed

    def waiting(self, target: Target) -> Waiting:
        """The keys that wait; none where the tables do not exist yet."""
        return self._before_setup(lambda session: quarantine.waiting(session, target), Waiting())

    def compare(self, target: Target, rows: Iterable[pa.Table], *, sample: int = 20) -> Comparison:
        """Compare by a join in the warehouse."""
        return compare.compare(self._sessions, target, rows, sample=sample)

    def differences(self, target: Target, rows: Iterable[pa.Table]) -> tuple[pa.Table, pa.Table]:
        """What ``compare`` counts, as rows."""
        return compare.differences(self._sessions, target, rows)

    def current(self, target: Target) -> pa.Table:
        """The current rows."""
        layout = file_columns(target.schema.arrow(), data=target.schema)
        where = f"WHERE {quote(CURRENT)} AND NOT {quote(DELETED)}"
        return self._read(sql.staging(target), layout, target.schema.arrow(), where=where)

    def rows(self, target: Target) -> pa.Table:
        """All staging rows."""
        schema = staging_schema(target.schema)
        return self._read(sql.staging(target), file_columns(schema, data=target.schema), schema)

    def changelog(self, target: Target) -> pa.Table:
        """All changes."""
        layout = sql.changelog_columns(target.schema)
        schema = pa.schema([pa.field(column.name, column.type) for column in layout])
        return as_changelog(self._read(sql.changelog(target), layout, schema), target.schema)

    def quarantined(self, target: Target) -> pa.Table:
        """All quarantined rows."""
        return self._read(sql.quarantine(target), quarantine.ROWS, QUARANTINE_TABLE_SCHEMA)

    def inspect(self) -> tuple[Finding, ...]:
        """Look at the account, the role and what interrupted runs left."""
        return inspection.inspect(self._options)

    def audit(self, group: str, *, limit: int = 20) -> list[dict[str, object]]:
        """The latest loads."""
        return self._before_setup(lambda session: audit.read_audit(session, group, limit=limit), [])

    def changed_since(self, group: str, load: int) -> frozenset[str]:
        """The streams that later loads changed."""
        return self._before_setup(lambda session: audit.read_changed(session, group, load), frozenset())

    def transformed(self, group: str) -> int:
        """The load that marts are built up to."""
        return self._before_setup(lambda session: control.read_transformed(session, group), -1)

    def set_transformed(self, group: str, load: int) -> None:
        """Record it."""
        self._run(control.write_transformed(group, load))

    def query(self, sql: str) -> pa.Table:
        """Run a query."""
        return self._sessions.call(lambda session: session.query(Statement(sql)))

    def close(self) -> None:
        """Sign out."""
        self._sessions.close()
        self._ledger = Ledger(self._sessions)

    def _undo_unrecorded(self, previous: Checkpoint, states: Mapping[str, StreamState] | None = None) -> Checkpoint:
        """Undo migrations of the group, its checkpoint claimed first; the present checkpoint. ``states`` are what is
        recorded, where that was read already.
        """
        maker = self._maker()
        streams = unrecorded(maker.session, previous.group)
        if not streams:
            return previous
        self._ledger.move(previous, previous.claimed())
        recorded = self.states(previous.group) if states is None else states
        undo(maker, [target_of(recorded[stream]) for stream in streams])
        return previous.claimed()

    def _maker(self) -> Maker:
        return Maker(self._sessions)

    def _run(self, statement: Statement) -> None:
        self._sessions.call(lambda session: session.execute(statement))

    def _read(self, table: str, layout: Iterable[FileColumn], schema: pa.Schema, *, where: str = "") -> pa.Table:
        query = Statement(f"SELECT {showing(layout)} FROM {table} {where}")
        return shown(self._sessions.call(lambda session: session.query(query)), schema)

    def _before_setup(self, read: Callable[[Session], _Result], nothing: _Result) -> _Result:
        """What is read, or ``nothing`` where the tables are not there yet."""
        try:
            return self._sessions.call(read)
        except PipelineError as error:
            if error.facts.get("errno") in (NO_OBJECT, NO_SCHEMA):
                return nothing
            raise
