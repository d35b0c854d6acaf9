"""PostgreSQL as a source: the port's methods, put together from catalog, publication, slot, snapshot and reader.

Nothing is connected before the first call.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection, Mapping
from pathlib import Path

import pyarrow as pa

from adapters.sources.postgres import findings, publication, slot, sql, streams
from adapters.sources.postgres.catalog import KINDS, Catalog, Table
from adapters.sources.postgres.connection import Connector, Session
from adapters.sources.postgres.heartbeat import Heartbeat
from adapters.sources.postgres.options import PostgresOptions
from adapters.sources.postgres.pgoutput import Decoder
from adapters.sources.postgres.publication import Publication
from adapters.sources.postgres.reader import PostgresReader
from adapters.sources.postgres.receiver import Receiver
from adapters.sources.postgres.slot import lsn_of, position
from adapters.sources.postgres.snapshot import PostgresSnapshot, preview
from adapters.sources.postgres.spill import sweep
from adapters.sources.postgres.streams import Capture
from adapters.sources.postgres.tracking import Tracked, Tracker, another_table
from pipeline.domain.checkpoint import Checkpoint
from pipeline.domain.errors import LogLost, PipelineError, SourceRejected
from pipeline.domain.finding import Finding
from pipeline.domain.position import Position
from pipeline.domain.schema import StreamSchema
from pipeline.domain.stream import BatchLimits, StreamSpec
from pipeline.ports.source import BookmarksOf, LogState, LogStatus, Relation

#: Prefix of the message that makes a reader pass the end of the log.
MARK = "rdp_mark"

#: The longest that the server goes without a word from us, whatever its wal_sender_timeout.
_STATUS_S = 10.0

_TEMPORARY = "_tmp_"
_SERVER_LIMIT = "SELECT setting::bigint FROM pg_catalog.pg_settings WHERE name = 'wal_sender_timeout'"


class PostgresSource:
    """The port's ``Source``."""

    def __init__(self, name: str, options: PostgresOptions) -> None:
        self._name = name
        self._options = options
        self._connector = Connector(options)
        self._session = Session(self._connector)
        self._catalog = Catalog(self._session)

    @property
    def name(self) -> str:
        """The source's name."""
        return self._name

    def discover(self) -> tuple[Relation, ...]:
        """Every relation of the users' schemas, partitions left out where their root stands for them."""
        found = publication.find(self._session, self._options.publication)
        tables = sorted(self._catalog.all(), key=lambda table: table.name)
        return tuple(self._relation(table, found) for table in tables if not table.is_partition)

    def inspect(self, streams: Collection[StreamSpec]) -> tuple[Finding, ...]:
        """Check server, role, slot, publication and tables."""
        return findings.inspect(self._session, self._connector, self._catalog, self._options, streams)

    def schemas(self, streams: Collection[StreamSpec]) -> Mapping[str, StreamSchema]:
        """The current schema of each stream."""
        return {stream: capture.schema for stream, capture in self._captures(streams).items()}

    def preview(self, stream: StreamSpec, *, limit: int) -> pa.Table:
        """The table's first rows as they are now."""
        captures = self._captures([stream])
        streams.refuse_absent(captures, where=self._session.where)
        return preview(self._connector, captures[stream.name], limit=limit)

    def log(self) -> LogState:
        """The state of the slot."""
        return slot.state(self._session, self._options.slot)

    def check(self, checkpoint: Checkpoint) -> LogState:
        """The state of the slot, if it still holds all after the checkpoint."""
        return slot.check(self._session, self._options.slot, checkpoint)

    def prepare(self, streams: Collection[StreamSpec]) -> None:
        """Make the publication hold exactly the streams' tables, or check that a foreign one holds them."""
        self._require_logical()
        tables = [capture.table for capture in self._captures(streams).values()]
        if self._options.manage_publication:
            publication.align(self._session, self._options.publication, tables)
            return
        publication.refuse_incomplete(
            publication.find(self._session, self._options.publication),
            self._options.publication,
            tables,
            where=self._session.where,
        )

    def begin(self, streams: Collection[StreamSpec], *, epoch: int) -> PostgresSnapshot:
        """Create the slot and open the snapshot it exports; the slot is dropped again if that fails."""
        self._require_logical()
        if slot.find(self._session, self._options.slot) is not None:
            raise SourceRejected(
                f"replication slot {self._options.slot} exists already",
                where=self._session.where,
                hint="Go on from its checkpoint, or forget it first.",
            )
        try:
            return self._snapshot(streams, self._options.slot, temporary=False, epoch=epoch)
        except SourceRejected as error:
            if error.facts.get("sqlstate") != slot.EXISTS:
                self.forget()
            raise
        except BaseException:
            self.forget()
            raise

    def snapshot(self, streams: Collection[StreamSpec], *, epoch: int) -> PostgresSnapshot:
        """A snapshot by a slot of its own that ends with it."""
        self._require_logical()
        name = f"{self._options.slot[:45]}{_TEMPORARY}{uuid.uuid4().hex[:8]}"
        return self._snapshot(streams, name, temporary=True, epoch=epoch)

    def forget(self) -> None:
        """Drop the slot."""
        slot.drop(self._session, self._options.slot, wait_s=self._options.slot_wait_s)

    def mark(self) -> Position:
        """The end of the log; a message behind it makes sure that the reader passes it."""
        end = slot.end_of_log(self._session)
        # Transactional, since only a commit is flushed at once and so sent at once.
        self._session.rows(sql.EMIT, MARK)
        return position(end)

    def read(
        self,
        checkpoint: Checkpoint,
        streams: Mapping[str, tuple[StreamSpec, Position]],
        *,
        limits: BatchLimits,
        up_to: Position | None = None,
        bookmarks: BookmarksOf | None = None,
    ) -> PostgresReader:
        """Stream from the slot."""
        slot.check(self._session, self._options.slot, checkpoint)
        tracker = Tracker(self._catalog, self._tracked(streams), entries=self._entries)
        after = lsn_of(checkpoint.position)
        link = slot.start(
            self._connector,
            self._session,
            self._options.slot,
            sql.start_replication(self._options.slot, self._options.publication, after=after),
            wait_s=self._options.slot_wait_s,
        )
        try:
            # Only now nobody else can move it.
            slot.check(self._session, self._options.slot, checkpoint)
            # Other readers are shut out from here on, so that what lies in the folder is nobody's.
            folder = self._work_folder()
            sweep(folder)
            status_s = self._status_s()
        except BaseException:
            link.finish()
            raise
        receiver = Receiver(
            link,
            confirmed=after,
            buffer_bytes=self._options.buffer_bytes,
            status_s=status_s,
            silence_s=self._options.silence_timeout_s,
            where=self._session.where,
            on_lost=self._judged,
        )
        heartbeat = Heartbeat(
            self._connector, interval_s=self._options.heartbeat_s, advanced_at=lambda: receiver.advanced_at
        )
        return PostgresReader(
            receiver,
            Decoder(epoch=checkpoint.epoch, resolve=tracker.resolve),
            after=checkpoint.position,
            limits=limits,
            up_to=up_to,
            work_folder=folder,
            on_close=heartbeat.close,
        )

    def close(self) -> None:
        """Close the connection for short statements; snapshots and readers close their own."""
        self._session.close()

    def _captures(self, specs: Collection[StreamSpec]) -> dict[str, Capture]:
        return streams.capture(
            self._catalog,
            specs,
            version=self._session.version,
            publication=publication.find(self._session, self._options.publication),
            managed=self._options.manage_publication,
            where=self._session.where,
        )

    def _snapshot(self, specs: Collection[StreamSpec], name: str, *, temporary: bool, epoch: int) -> PostgresSnapshot:
        streams.refuse_absent(self._captures(specs), where=self._session.where)  # before anything is made
        created = slot.create(
            self._connector,
            self._session,
            name,
            temporary=temporary,
            timeout_s=self._options.slot_create_timeout_s,
        )
        return PostgresSnapshot(
            self._connector, self._catalog, created, find=lambda: self._captures(specs), epoch=epoch
        )

    def _tracked(self, wanted: Mapping[str, tuple[StreamSpec, Position]]) -> dict[str, Tracked]:
        """What reading begins with; refuses streams whose table has left the publication since their copy (B9, B10)."""
        found = publication.find(self._session, self._options.publication)
        captures = self._captures([spec for spec, _ in wanted.values()])
        tables = [capture.table for capture in captures.values()]
        publication.refuse_incomplete(found, self._options.publication, tables, where=self._session.where)
        tracked = {}
        for name, capture in captures.items():
            since = lsn_of(wanted[name][1])
            noted = found.noted.get(capture.table.oid) if found else None
            listed = found.listed.get(capture.table.oid) if found else None
            entry = listed[0] if listed else None
            if noted is not None and (noted.since > since or noted.oid != entry):
                raise another_table(capture)
            tracked[name] = Tracked(capture, self._selection(capture.table, found), since, entry)
        return tracked

    def _entries(self) -> dict[int, int]:
        """The oid of each table's own entry in the publication, as it is now."""
        return {row[0]: row[1] for row in self._session.rows(sql.LISTED, self._options.publication)}

    def _selection(self, table: Table, found: Publication | None) -> streams.Selection:
        return streams.selection(self._session.version, found, managed=self._options.manage_publication, table=table)

    def _relation(self, table: Table, found: Publication | None) -> Relation:
        chosen = self._selection(table, found)
        # Without a stream nothing is configured to be left out.
        taken = [column for column in table.columns if chosen.has(column)]
        numbers = {column.attnum for column in taken}
        key = table.key if numbers.issuperset(table.key) else ()
        return Relation(
            name=str(table.name),
            kind=KINDS[table.kind],
            schema=streams.schema_of(taken, key),
            estimated_count=table.estimated_count,
            byte_count=table.byte_count,
            reason=streams.refusal(table, None),
        )

    def _require_logical(self) -> None:
        level = self._session.value("SELECT pg_catalog.current_setting('wal_level')")
        if level != "logical":
            raise SourceRejected(
                f"wal_level is {level}, so there is no log of changes to read",
                where=self._session.where,
                hint="Set wal_level = logical and restart the server.",
            )

    def _status_s(self) -> float:
        limit_ms = int(self._session.value(_SERVER_LIMIT) or 0)
        return min(_STATUS_S, limit_ms / 3000) if limit_ms else _STATUS_S

    def _work_folder(self) -> Path:
        folder = self._options.work_folder / self._options.slot
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def _judged(self, error: PipelineError) -> PipelineError:
        """The error that ended a stream, or ``LogLost`` if that is why."""
        try:
            state = self.log()
        except PipelineError:
            return error
        if state.status in {LogStatus.MISSING, LogStatus.LOST}:
            case = "missing" if state.status is LogStatus.MISSING else "invalidated"
            return LogLost(
                f"the replication slot is {case}",
                where=f"{self._session.where}, slot {self._options.slot}",
                hint="Run 'plan' to see what has to be copied again.",
                case=case,
            )
        return error
