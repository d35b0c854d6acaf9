"""A database of its own for each test on a real server, and the naive application of changes to compare with it."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import attrs
import psycopg
from psycopg import sql

from adapters.sources.postgres import build
from adapters.sources.postgres.source import PostgresSource
from entrypoints.demo.server import EmbeddedPostgres
from pipeline.domain.change import OLD_KEY, OP, SEQUENCE, UNCHANGED, ChangeBatch, GroupBatch, Operation
from pipeline.domain.checkpoint import Checkpoint
from pipeline.domain.position import Position
from pipeline.domain.stream import BatchLimits, Mode, StreamSpec

Key = tuple[Any, ...]
Row = dict[str, Any]
Streams = dict[str, tuple[StreamSpec, Position]]

_NUMBERS = itertools.count(1)


@attrs.define
class Scene:
    """A fresh database with a connection to it, and sources that read it."""

    server: EmbeddedPostgres
    database: str
    folder: Path
    connection: psycopg.Connection[Any]
    _sources: list[PostgresSource] = attrs.field(factory=list)

    @property
    def dsn(self) -> str:
        """How to reach the database as its superuser."""
        return self.server.dsn(self.database)

    def sql(self, text: str, *parameters: object) -> list[tuple[Any, ...]]:
        """Run a statement, committed at once."""
        cursor = self.connection.execute(text, parameters or None)
        return cursor.fetchall() if cursor.description else []

    def transaction(self, *statements: str) -> None:
        """Run statements in one transaction."""
        with self.connection.transaction():
            for statement in statements:
                self.connection.execute(statement)

    def connect(self) -> psycopg.Connection[Any]:
        """One more connection, not in autocommit mode."""
        return psycopg.connect(self.dsn)

    def source(self, **options: object) -> PostgresSource:
        """A source over this database; its slot and publication are named after the database."""
        given = {"dsn": self.dsn, "work_folder": str(self.folder), "slot_wait_s": 30, **options}
        source = build("shop", given, pipeline=self.database)
        self._sources.append(source)
        return source

    @property
    def slot(self) -> str:
        """The name of the slot."""
        return f"rdp_{self.database}"

    def rows(self, table: str, key: Collection[str] = ("id",)) -> dict[Key, Row]:
        """The table as it is now, by key."""
        cursor = self.connection.execute(f"SELECT * FROM {table}")
        names = [column.name for column in cursor.description or ()]
        found = [dict(zip(names, row, strict=True)) for row in cursor]
        return {tuple(row[name] for name in key): row for row in found}

    def confirmed(self) -> int:
        """Up to where the server was told to forget."""
        return int(
            self.sql(
                "SELECT confirmed_flush_lsn - '0/0'::pg_lsn FROM pg_replication_slots WHERE slot_name = %s", self.slot
            )[0][0]
        )

    def close(self) -> None:
        """Close everything and drop the database."""
        for source in self._sources:
            source.close()
        self.connection.close()
        with psycopg.connect(self.server.dsn(), autocommit=True) as admin:
            for slot, pid in admin.execute(
                "SELECT slot_name, active_pid FROM pg_replication_slots WHERE database = %s", [self.database]
            ).fetchall():
                if pid:
                    admin.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])
                admin.execute("SELECT pg_drop_replication_slot(%s)", [slot])
            admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(self.database)))


@contextmanager
def scene(server: EmbeddedPostgres, folder: Path) -> Iterator[Scene]:
    """A fresh database on a running server."""
    database = f"scene_{next(_NUMBERS)}"
    with psycopg.connect(server.dsn(), autocommit=True) as admin:
        admin.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(database)))
    made = Scene(server, database, folder, psycopg.connect(server.dsn(database), autocommit=True))
    try:
        yield made
    finally:
        made.close()


def stream(name: str, relation: str | None = None, **more: Any) -> StreamSpec:
    """A stream of a table in ``public`` unless said otherwise."""
    return StreamSpec(name, relation or f"public.{name}", "shop", **more)


def checkpoint(position: Position) -> Checkpoint:
    """A checkpoint at a position."""
    return Checkpoint("shop", position, load=0, epoch=1, at=datetime(2026, 1, 1, tzinfo=UTC))


@attrs.define
class Copy:
    """What a naive reader of snapshot and log would hold: rows by key, and everything that came, in order."""

    streams: Streams
    position: Position
    rows: dict[str, dict[Key, Row]]
    changes: list[tuple[str, Row]] = attrs.field(factory=list)
    batches: list[GroupBatch] = attrs.field(factory=list)

    def take(self, batch: GroupBatch) -> None:
        """Apply a batch."""
        assert batch.after == self.position
        for piece in batch.pieces:
            for change in piece.table.to_pylist():
                self.changes.append((piece.stream, change))
                apply(self.rows[piece.stream], piece, change)
        self.position = batch.up_to
        self.batches.append(batch)

    def follow(self, source: PostgresSource, *, limits: BatchLimits | None = None) -> Copy:
        """Read from where it is to the end of the log and apply it."""
        return self.read(source, up_to=source.mark(), limits=limits)

    def read(
        self, source: PostgresSource, *, up_to: Position, limits: BatchLimits | None = None, acknowledges: bool = True
    ) -> Copy:
        """Read from where it is up to a position and apply it."""
        with source.read(
            checkpoint(self.position), self.streams, limits=limits or BatchLimits(), up_to=up_to
        ) as reader:
            while self.position != up_to:
                batch = reader.next(60)
                assert batch is not None, "nothing came in 60 s"
                self.take(batch)
                if acknowledges:
                    reader.acknowledge(batch.up_to)
            assert reader.next(0) is None
        return self

    def labels(self) -> list[tuple[str, str]]:
        """Stream and operation of every change so far."""
        return [(name, Operation(change[OP]).label) for name, change in self.changes]


def apply(rows: dict[Key, Row], piece: ChangeBatch, change: Row) -> None:
    """Apply one change to rows by key."""
    operation = Operation(change[OP])
    if operation is Operation.TRUNCATE:
        rows.clear()
        return
    names = piece.schema.names
    key = tuple(change[name] for name in piece.schema.key) or (change[SEQUENCE],)
    old = change.get(OLD_KEY)
    before = rows.pop(tuple(old.values()) if old else key, None)
    if operation is Operation.DELETE:
        return
    kept = {name: before[name] for name in change[UNCHANGED] or ()} if before else {}
    rows[key] = {name: change[name] for name in names} | kept


def begin(source: PostgresSource, specs: Iterable[StreamSpec], *, during: Callable[[], None] | None = None) -> Copy:
    """Prepare, begin and copy the streams; ``during`` runs after the snapshot was taken, before it is read."""
    wanted = tuple(specs)
    source.prepare(wanted)
    with source.begin(wanted, epoch=1) as snapshot:
        if during:
            during()
        rows: dict[str, dict[Key, Row]] = {spec.name: {} for spec in wanted}
        for spec in wanted:
            for piece in snapshot.read(spec.name):
                for change in piece.table.to_pylist():
                    apply(rows[spec.name], piece, change)
        streams: Streams = {spec.name: (spec, snapshot.position) for spec in wanted}
        return Copy(streams, snapshot.position, rows)


def wait_for(condition: Callable[[], object], *, timeout_s: float = 60.0) -> None:
    """Poll until a condition holds."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come to hold"
        time.sleep(0.02)


def names_of(schemas: Mapping[str, Collection[Any]]) -> dict[str, list[list[str]]]:
    """The column names of each schema of each stream."""
    return {name: [list(schema.names) for schema in found] for name, found in schemas.items()}


__all__ = ["Copy", "Mode", "Scene", "begin", "checkpoint", "names_of", "scene", "stream", "wait_for"]
