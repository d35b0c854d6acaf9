"""A load: files first, then one short transaction whose first statement moves the checkpoint (P1, P4).

While steps come, their changes and states are written to Parquet files and uploaded, several at a time; nothing is kept
in memory (P11), no transaction is open, and no other group waits. ``commit`` then runs the statements that the steps
amount to: BEGIN; the compare-and-set of the checkpoint; one COPY per stream into its changelog, from all its files;
what the steps do to staging tables and quarantine, in order; states and audit; COMMIT. No DDL is among them, since DDL
would commit. In the end the files are removed; what a crash leaves in the stage is harmless and swept later.

The fence is the compare-and-set. When a load is opened, the checkpoint that this process knows is compared already, so
that a stale writer need not upload anything; that costs a statement only where it does not know.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import attrs
import pyarrow as pa

from adapters.warehouses.changerows import changelog_rows
from adapters.warehouses.openload import OpenLoad
from adapters.warehouses.snowflake import audit, control, fencing, modes, quarantine, sql
from adapters.warehouses.snowflake import bookmarks as kept
from adapters.warehouses.snowflake.errors import is_locked
from adapters.warehouses.snowflake.session import Session
from adapters.warehouses.snowflake.sessions import Sessions
from adapters.warehouses.snowflake.statement import Statement, quote
from adapters.warehouses.snowflake.staterows import StateFile, state_file
from adapters.warehouses.snowflake.streamfiles import Copy, StreamFiles
from adapters.warehouses.snowflake.uploading import Uploads
from pipeline.domain.checkpoint import Checkpoint, StreamState
from pipeline.domain.counts import StreamCounts
from pipeline.domain.errors import CommitUnknown, PipelineError
from pipeline.domain.loading import LoadStep, Target
from pipeline.domain.stream import Mode

#: The statements of a transaction beside what is loaded: BEGIN, the checkpoint, the audit, COMMIT.
_FRAME_COUNT = 4


class SnowflakeLoad(OpenLoad[Uploads]):
    """See ``pipeline.ports.warehouse.Load``. ``row`` is the checkpoint's row as this process knows it; ``on_commit`` is
    called once the load is durable.
    """

    def __init__(
        self, sessions: Sessions, row: Checkpoint, checkpoint: Checkpoint, *, on_commit: Callable[[], None]
    ) -> None:
        super().__init__(checkpoint, lambda: Uploads(sessions))
        self._sessions = sessions
        self._on_commit = on_commit
        self._row = row
        self._streams: dict[str, StreamFiles] = {}
        self._statements: list[Statement] = []
        self._states: dict[str, StreamState] = {}

    def apply(self, step: LoadStep) -> None:
        """Upload the step's changes and state, and note what they do."""
        target = step.target
        with self._running() as uploads:
            stream = self._stream(uploads, target)
            if step.changes.num_rows:
                rows = changelog_rows(step.changes, target.schema, version=target.schema_version, stamp=self._stamp)
                stream.changes.add(rows)
            if step.truncate is not None:
                self._note(target, *modes.truncate(target, sql.staging(target), step.truncate, self._stamp))
            if step.is_copy:
                stream.is_filled_by_copy = True
            elif step.state.num_rows and target.mode is not Mode.APPEND:
                self._apply_state(uploads, target, self._stamp.onto(step.state))

    def replace(self, target: Target) -> None:
        """Begin a copy, and note it for later rebuilds."""
        with self._running():
            self._note(target, *modes.begin_copy(target, sql.staging(target)))
            self._note(target, quarantine.supersede(target, self._stamp))
            self._note(target, control.note_copy(target.table, self._stamp.load, self._stamp.at))

    def finish_replace(self, target: Target) -> None:
        """Fill the staging table from the changelog, which has the copy's rows by then, and end the copy."""
        with self._running() as uploads:
            stream = self._stream(uploads, target)
            if stream.is_filled_by_copy:
                states = sql.state_of_copy(target, self._stamp.load)
                self._note(target, *modes.fill(target, sql.staging(target), states))
            self._note(target, *modes.end_copy(target, sql.staging(target), self._stamp))

    def quarantine(self, target: Target, rows: pa.Table) -> None:
        """Keep the rows as waiting."""
        with self._running() as uploads:
            name = uploads.add(quarantine.waiting_rows(rows, self._stamp), quarantine.ROWS)
            copies = sql.copy_files(sql.quarantine(target), quarantine.ROWS, uploads.folder, [name])
            self._note(target, *copies)

    def settle(self, target: Target, settled: pa.Table) -> None:
        """Give waiting rows of the keys their status."""
        with self._running() as uploads:
            name = uploads.add(quarantine.numbered(settled), quarantine.SETTLED)
            self._note(target, quarantine.settle(target, f"{uploads.folder}/{name}", self._stamp))

    def remember(self, stream: str, bookmarks: pa.Table, *, replaces: bool = False) -> None:
        """Append them, after forgetting all others where they are replaced."""
        group, load = self._checkpoint.group, self._stamp.load
        with self._running() as uploads:
            if replaces:
                self._statements.append(self._told(kept.forget(group, stream)))
            elif kept.folds(group, stream, load):
                self._statements.append(self._told(kept.fold(group, stream)))
            if bookmarks.num_rows:
                name = uploads.add(kept.kept_rows(group, stream, bookmarks, load=load), kept.LAYOUT)
                copies = sql.copy_files(control.own("bookmarks"), kept.LAYOUT, uploads.folder, [name])
                self._statements += [self._told(statement) for statement in copies]

    def set_state(self, state: StreamState) -> None:
        """Record the state."""
        with self._running():
            self._states[state.stream] = state

    def commit(self, counts: Mapping[str, StreamCounts]) -> None:
        """Run everything in one transaction."""
        with self._running() as uploads:
            copies = [self._copy(uploads, stream) for stream in self._streams.values()]
            statements = list(self._statements)
            if self._states:
                states = control.write_states(self._checkpoint.group, self._states.values())
                statements.append(self._told(states))
            uploads.wait()
            self._run(copies, statements, counts)
            self._on_commit()
        self._end()

    def _run(self, copies: list[Copy], statements: list[Statement], counts: Mapping[str, StreamCounts]) -> None:
        session = self._begin()
        try:
            for copy in copies:
                copy.run(session)
            for statement in statements:
                session.execute(statement)
            statement_count = sum(len(copy.statements) for copy in copies) + len(statements) + _FRAME_COUNT
            row = audit.write_audit(self._checkpoint, self._seconds, dict(counts), statement_count=statement_count)
            session.execute(self._told(row))
        except BaseException:
            session.roll_back()
            raise
        self._commit(session)

    def _begin(self) -> Session:
        """A transaction that moved the checkpoint. Where another load of the group keeps it locked for too long, its
        process is gone, or is about to be fenced: that transaction is ended.
        """
        try:
            return self._begin_once()
        except PipelineError as error:
            if not is_locked(error):
                raise
        self._sessions.abort(self._transaction)
        return self._begin_once()

    def _begin_once(self) -> Session:
        session = self._sessions.begin(self._told(Statement(f"BEGIN NAME {quote(self._transaction)}")))
        try:
            fencing.move(session, self._row, self._checkpoint, told=self._told)
        except BaseException:
            session.roll_back()
            raise
        return session

    @property
    def _transaction(self) -> str:
        """What loads of the group call their transactions, and nothing else of the account does."""
        return f"load {self._sessions.options.database} {self._checkpoint.group}"

    def _commit(self, session: Session) -> None:
        try:
            session.execute(self._told(Statement("COMMIT")))
        except PipelineError as error:
            if error.facts.get("error_class") == "ProgrammingError":  # the service's own word that it did not commit
                session.roll_back()
                raise
            # whether it did can only be read once the transaction is over: the next session sees to that first
            self._sessions.forget(in_transaction=True)
            raise CommitUnknown(
                "the connection was lost during COMMIT",
                where=self._sessions.options.place,
                hint="The checkpoint tells whether the load happened; run it again.",
                **error.facts,
            ) from None
        except BaseException:
            self._sessions.forget(in_transaction=True)
            raise

    def _apply_state(self, uploads: Uploads, target: Target, state: pa.Table) -> None:
        file: StateFile = state_file(target.schema, state)
        path = f"{uploads.folder}/{uploads.add(file.rows, file.columns)}"
        states = sql.state_of_file(target, sql.staging(target), path, taken=file.taken)
        self._note(target, *modes.upsert(target, sql.staging(target), states, file.keys))

    def _copy(self, uploads: Uploads, stream: StreamFiles) -> Copy:
        return stream.copy(uploads.folder, lambda statement: self._told(statement, stream.target))

    def _stream(self, uploads: Uploads, target: Target) -> StreamFiles:
        if target.table not in self._streams:
            changes = uploads.growing(sql.changelog_columns(target.schema))
            self._streams[target.table] = StreamFiles(target, changes)
        return self._streams[target.table]

    def _note(self, target: Target, *statements: Statement) -> None:
        self._statements += [self._told(statement, target) for statement in statements]

    def _told(self, statement: Statement, target: Target | None = None) -> Statement:
        """The statement with what it belongs to, for the query history, which drops comments at the beginning."""
        of = f"load {self._stamp.load}, {target.table}" if target else f"load {self._stamp.load}"
        return attrs.evolve(statement, text=f"{statement.text}\n/* {of} */")

    def _let_go(self, held: Uploads, error: BaseException | None) -> None:
        held.close(after=error)
