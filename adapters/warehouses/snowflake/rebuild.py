"""Builds a staging table anew from its changelog, in pieces of bounded size, when the mode of a stream changes (G8).

It is built in a work table, which nobody reads, statement by statement. Then one transaction puts its rows into the
staging table and records the mode, so that readers see the one or the other. Only from and to append mode, where a view
takes the place of a table, are there two steps, since DDL commits: the mode is recorded last, and ``unfinished`` tells
what a run that died in between left. In which order things are replayed is ``replaying``'s.

Before anything is shown the checkpoint is moved by compare-and-set (P4): what another writer loaded after the changelog
was read would be missing, and it would go on loading in the former mode.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from datetime import datetime

import attrs
import pyarrow as pa

from adapters.warehouses.changerows import Stamp
from adapters.warehouses.refusals import refuse_keyless
from adapters.warehouses.replaying import PIECE_ROWS, Copy, replay
from adapters.warehouses.snowflake import control, modes, sql
from adapters.warehouses.snowflake.fencing import move
from adapters.warehouses.snowflake.files import showing, shown
from adapters.warehouses.snowflake.paging import Pages
from adapters.warehouses.snowflake.session import Session
from adapters.warehouses.snowflake.sessions import Sessions
from adapters.warehouses.snowflake.statement import Statement, columns, quote, stored
from adapters.warehouses.snowflake.staterows import state_file
from adapters.warehouses.snowflake.tables import Maker
from adapters.warehouses.snowflake.uploading import Uploads
from pipeline.domain import naming
from pipeline.domain.change import SEQUENCE
from pipeline.domain.checkpoint import Checkpoint, StreamState
from pipeline.domain.errors import PipelineError
from pipeline.domain.loading import Target, Truncation
from pipeline.domain.stream import Mode
from pipeline.domain.tables import LOAD
from pipeline.ports.warehouse import target_of


def rebuild(
    sessions: Sessions, row: Checkpoint, claimed: Checkpoint, target: Target, *, piece_rows: int = PIECE_ROWS
) -> None:
    """Replay the changelog in the target's mode, show the result and record the mode, the checkpoint moved from ``row``
    to ``claimed`` first. Raises ``Fenced``.
    """
    refuse_keyless(target)
    session, maker = sessions.get(), Maker(sessions)
    if target.mode is Mode.APPEND:
        move(session, row, claimed)
        maker.ensure_staging(target)
        session.execute(control.set_mode(row.group, target.stream, target.mode))
        return
    work = sql.work_table(target)
    session.execute(Statement(sql.create_staging(target, work, replace=True)))
    with Uploads(sessions) as uploads:
        applier = _Applier(session, uploads, work)
        copies = [Copy(load, at) for load, at in control.read_copies(session, target.table)]
        replay(_pieces(session, target, piece_rows), copies, target, applier)
    _show(session, maker, row, claimed, target)
    with suppress(PipelineError):  # it is replaced when it is needed again
        session.execute(Statement(f"DROP TABLE IF EXISTS {work}"))


def unfinished(session: Session, states: Iterable[StreamState]) -> tuple[Target, ...]:
    """Of recorded states those whose staging table is not what the mode needs: a rebuild was interrupted."""
    names = session.named_rows(Statement(f"SHOW OBJECTS IN SCHEMA {quote(naming.STAGING)}"))
    kinds = {str(row["name"]): str(row["kind"]) for row in names}
    return tuple(
        target_of(state)
        for state in states
        if kinds.get(stored(state.table)) != ("VIEW" if state.mode is Mode.APPEND else "TABLE")
    )


@attrs.frozen
class _Applier:
    """Applies pieces to the work table, each statement by itself."""

    session: Session
    uploads: Uploads
    table: str

    def truncate(self, target: Target, truncation: Truncation, stamp: Stamp) -> None:
        self._run(modes.truncate(target, self.table, truncation, stamp))

    def apply(self, target: Target, state: pa.Table) -> None:
        if not state.num_rows:
            return
        file = state_file(target.schema, state)
        path = f"{self.uploads.folder}/{self.uploads.add(file.rows, file.columns)}"
        self.uploads.wait()
        states = sql.state_of_file(target, self.table, path, taken=file.taken)
        self._run(modes.upsert(target, self.table, states, file.keys))

    def begin_copy(self, target: Target) -> None:
        self._run(modes.begin_copy(target, self.table))

    def end_copy(self, target: Target, *, load: int, at: datetime) -> None:
        self._run(modes.end_copy(target, self.table, Stamp(load, at)))

    def _run(self, statements: Iterable[Statement]) -> None:
        for statement in statements:
            self.session.execute(statement)


def _pieces(session: Session, target: Target, piece_rows: int) -> Iterator[pa.Table]:
    """The changelog in order. What another writer adds meanwhile does not matter: the fence is closed then."""
    layout = sql.changelog_columns(target.schema)
    schema = pa.schema([pa.field(column.name, column.type) for column in layout])
    pages = Pages(showing(layout), sql.changelog(target), (LOAD, SEQUENCE), piece_rows)
    return (shown(piece, schema) for piece in pages.read(session))


def _show(session: Session, maker: Maker, row: Checkpoint, claimed: Checkpoint, target: Target) -> None:
    work, staging = sql.work_table(target), sql.staging(target)
    names = columns([*target.schema.names, *sql.METADATA])
    if maker.kind(naming.STAGING, target.table) == "TABLE":
        with session.transaction():
            move(session, row, claimed)
            session.execute(Statement(f"DELETE FROM {staging}"))
            session.execute(Statement(f"INSERT INTO {staging} ({names})\nSELECT {names} FROM {work}"))
            session.execute(control.set_mode(row.group, target.stream, target.mode))
        return
    move(session, row, claimed)
    session.execute(Statement(f"DROP VIEW IF EXISTS {staging}"))
    # made with its rows in it, and made here: a table that is moved gets none of the grants on future tables
    session.execute(Statement(f"CREATE TABLE {staging} AS\nSELECT {names} FROM {work}"))
    session.execute(control.set_mode(row.group, target.stream, target.mode))
