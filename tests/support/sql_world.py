"""A SQL database that is looked at again and again, a DuckDB warehouse, and a pipeline of one stream between them."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import attrs
import psycopg
from sqlalchemy.engine import URL

import adapters.sources.sql
import adapters.warehouses.duckdb
from adapters.sources.polling.source import PollSource
from entrypoints.demo.server import EmbeddedPostgres
from pipeline.application.session import Session
from pipeline.application.sync import SyncResult
from pipeline.domain.counts import StreamCounts
from pipeline.domain.stream import BatchLimits, Mode, StreamSpec
from pipeline.ports.source import Source
from pipeline.ports.warehouse import Warehouse
from tests.support.one_stream import OneStream, session_of
from tests.support.world import Recorder, create_database, drop_database

STREAM = "orders"


class Origin(Protocol):
    """A database to read: its URL, and a way to write to it."""

    @property
    def url(self) -> str:
        """SQLAlchemy's URL."""
        ...

    def sql(self, *statements: str) -> None:
        """Commit statements in one transaction."""
        ...

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """What it answers."""
        ...

    @contextmanager
    def open_transaction(self, *statements: str) -> Iterator[None]:
        """A transaction that is open inside of the context, and committed at its end."""
        ...


@attrs.frozen
class SqliteOrigin:
    """A file; with a write-ahead log unless ``journal`` says otherwise."""

    path: Path
    journal: str = "wal"

    @property
    def url(self) -> str:
        return f"sqlite:///{self.path}"

    def sql(self, *statements: str) -> None:
        connection = self.connect()
        for statement in statements:
            connection.execute(statement)
        connection.execute("COMMIT")
        connection.close()

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        with self.connect() as connection:
            return connection.execute(query).fetchall()

    @contextmanager
    def open_transaction(self, *statements: str) -> Iterator[None]:
        """SQLite has one writer: what is open is written at the end, with the values of the beginning."""
        yield
        self.sql(*statements)

    def connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self.path, isolation_level=None, timeout=10)
        connection.execute(f"PRAGMA journal_mode={self.journal}")
        connection.execute("BEGIN")
        return connection


@attrs.frozen
class PostgresOrigin:
    """A database of its own on a running server."""

    server: EmbeddedPostgres
    database: str

    @property
    def dsn(self) -> str:
        return self.server.dsn(self.database)

    @property
    def url(self) -> str:
        parts = psycopg.conninfo.conninfo_to_dict(self.dsn)
        url = URL.create(
            "postgresql",
            username=str(parts["user"]),
            password=str(parts["password"]) if "password" in parts else None,
            host=str(parts["host"]),
            port=int(str(parts["port"])),
            database=self.database,
        )
        return url.render_as_string(hide_password=False)

    def sql(self, *statements: str) -> None:
        with psycopg.connect(self.dsn) as connection:
            for statement in statements:
                connection.execute(statement)  # type: ignore[arg-type] # tests write literal SQL

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.dsn) as connection:
            return connection.execute(query).fetchall()  # type: ignore[arg-type] # tests write literal SQL

    @contextmanager
    def open_transaction(self, *statements: str) -> Iterator[None]:
        with psycopg.connect(self.dsn) as connection:
            for statement in statements:
                connection.execute(statement)  # type: ignore[arg-type] # tests write literal SQL
            yield


@contextmanager
def postgres_origin(server: EmbeddedPostgres, name: str) -> Iterator[PostgresOrigin]:
    """A fresh database."""
    create_database(server, name)
    try:
        yield PostgresOrigin(server, name)
    finally:
        drop_database(server, name)


@attrs.define
class SqlWorld(OneStream):
    """The pipeline; each ``run`` is a new process' worth of objects over the same warehouse."""

    origin: Origin
    folder: Path
    read: dict[str, object] = attrs.field(factory=dict)
    mode: Mode = Mode.MIRROR
    limits: BatchLimits = attrs.field(factory=BatchLimits)
    relation: str = STREAM
    recorder: Recorder = attrs.field(factory=Recorder)
    options: dict[str, object] = attrs.field(factory=dict)
    _warehouse: Warehouse | None = None

    @property
    def warehouse(self) -> Warehouse:
        if self._warehouse is None:
            self._warehouse = adapters.warehouses.duckdb.build("warehouse", {"path": str(self.folder / "w.duckdb")})
        return self._warehouse

    @property
    def spec(self) -> StreamSpec:
        return StreamSpec(STREAM, self.relation, "shop", mode=self.mode, read=dict(self.read))

    def source(self) -> PollSource:
        return adapters.sources.sql.build("shop", {"url": self.origin.url, **self.options})

    def session(self, *, warehouse: Warehouse | None = None, source: Source | None = None) -> Session:
        return session_of(
            source or self.source(),
            warehouse or self.warehouse,
            self.spec,
            limits=self.limits,
            recorder=self.recorder,
            stop=threading.Event(),
        )

    def loaded(self, result: SyncResult) -> int:
        """How many changes of the stream a run loaded after the copy."""
        return result.counts.get(STREAM, StreamCounts()).changelog_count

    def staged(self, *names: str) -> list[tuple[Any, ...]]:
        """The staging table's current rows, in order of their values; all data columns unless some are named."""
        table = self.warehouse.current(self.target())
        chosen = names or tuple(name for name in table.column_names if not name.startswith("_cdc_"))
        return sorted(zip(*(table[name].to_pylist() for name in chosen), strict=True), key=repr)

    def changelog(self) -> list[dict[str, Any]]:
        rows = self.warehouse.changelog(self.target()).to_pylist()
        return sorted(rows, key=lambda row: row["_cdc_sequence"])

    def quarantined(self) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = self.warehouse.quarantined(self.target()).to_pylist()
        return rows

    def close(self) -> None:
        if self._warehouse is not None:
            self._warehouse.close()
