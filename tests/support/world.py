"""One real source database, one warehouse and one pipeline between them, for acceptance and integration tests."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import attrs
import psycopg
import pyarrow as pa

import adapters.sources.postgres
import adapters.warehouses.duckdb
import adapters.warehouses.memory
import adapters.warehouses.snowflake
from adapters.clock import SystemClock
from entrypoints.demo.server import EmbeddedPostgres
from pipeline.application.session import Session
from pipeline.application.sync import SyncResult, sync
from pipeline.application.verify import VerifyResult, verify
from pipeline.domain.checkpoint import Checkpoint
from pipeline.domain.events import Event
from pipeline.domain.finding import Finding
from pipeline.domain.stream import BatchLimits, PipelineSpec, StreamSpec, SystemSpec
from pipeline.ports.source import Source
from pipeline.ports.warehouse import Warehouse, target_of
from tests.support.emulator import Emulator
from tests.support.statement_order import complaints

SOURCE = "shop"


class Recorder:
    """Keeps every event and finding: metrics and notifier in one."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.findings: list[Finding] = []

    def record(self, event: Event) -> None:
        self.events.append(event)

    def notify(self, finding: Finding, *, pipeline: str) -> None:
        self.findings.append(finding)

    def of(self, kind: type) -> list[Any]:
        """The events of one kind."""
        return [event for event in self.events if isinstance(event, kind)]


@attrs.define
class World:
    """A pipeline over ``database`` of a running server into a warehouse of ``kind``: memory, duckdb, or snowflake on an
    ``emulator``, in a database of the same name.
    """

    server: EmbeddedPostgres
    database: str
    folder: Path
    kind: str
    streams: dict[str, StreamSpec] = attrs.field(factory=dict)
    limits: BatchLimits = attrs.field(factory=lambda: BatchLimits(age_s=0.05))
    options: dict[str, object] = attrs.field(factory=dict)
    recorder: Recorder = attrs.field(factory=Recorder)
    stop: threading.Event = attrs.field(factory=threading.Event)
    emulator: Emulator | None = None
    _warehouse: Warehouse | None = None
    _sources: list[Source] = attrs.field(factory=list)

    @property
    def dsn(self) -> str:
        """The source database's address."""
        return self.server.dsn(self.database)

    @property
    def warehouse(self) -> Warehouse:
        """The one warehouse of this world; it outlives every run, as a real one outlives every process."""
        if self._warehouse is None:
            build = {
                "memory": adapters.warehouses.memory.build,
                "duckdb": adapters.warehouses.duckdb.build,
                "snowflake": adapters.warehouses.snowflake.build,
            }[self.kind]
            self._warehouse = build("warehouse", self.warehouse_options)
        return self._warehouse

    @property
    def warehouse_options(self) -> dict[str, object]:
        """The options of the warehouse, as a pipeline file would have them."""
        if self.kind == "snowflake":
            assert self.emulator is not None, "Snowflake needs an emulator"
            return self.emulator.options(self.database.upper())
        return {"path": str(self.folder / "warehouse.duckdb")} if self.kind == "duckdb" else {}

    def stream(self, name: str, **changes: Any) -> StreamSpec:
        """Configure a stream over the table of the same name, or change its configuration."""
        known = self.streams.get(name) or StreamSpec(name=name, relation=f"public.{name}", source=SOURCE)
        self.streams[name] = attrs.evolve(known, **changes)
        return self.streams[name]

    def sql(self, *statements: str) -> None:
        """Commit statements at the source, all in one transaction."""
        with psycopg.connect(self.dsn) as connection:
            for statement in statements:
                connection.execute(statement)  # type: ignore[arg-type] # tests write literal SQL

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """What the source answers."""
        with psycopg.connect(self.dsn) as connection:
            return connection.execute(query).fetchall()  # type: ignore[arg-type] # tests write literal SQL

    def spec(self) -> PipelineSpec:
        """The pipeline as configured so far."""
        return PipelineSpec(
            name=self.database,
            source=SystemSpec("postgres", SOURCE),
            warehouse=SystemSpec(self.kind, "warehouse"),
            streams=dict(self.streams),
            limits=self.limits,
        )

    def session(
        self, *, warehouse: Warehouse | None = None, source: Callable[[Source], Source] = lambda it: it
    ) -> Session:
        """A new session, as a new process would build it; ``warehouse`` and ``source`` may wrap the real ones."""
        options = {"dsn": self.dsn, "work_folder": str(self.folder / "spill"), **self.options}
        built = adapters.sources.postgres.build(SOURCE, options, pipeline=self.database)
        self._sources.append(built)
        self.stop = threading.Event()
        return Session(
            pipeline=self.spec(),
            source=source(built),
            warehouse=warehouse or self.warehouse,
            clock=SystemClock(),
            metrics=self.recorder,
            notifier=self.recorder,
            transformer=None,
            stop=self.stop,
        )

    def run(self, *, warehouse: Warehouse | None = None, resync: Iterable[str] = ()) -> SyncResult:
        """One bounded run, as ``run`` does it."""
        session = self.session(warehouse=warehouse)
        try:
            return sync(session, resync=list(resync))
        finally:
            session.source.close()

    def verify(self, *, repair: bool = False, warehouse: Warehouse | None = None) -> VerifyResult:
        """Compare every stream, as ``verify`` does it."""
        session = self.session(warehouse=warehouse)
        try:
            return verify(session, repair=repair)
        finally:
            session.source.close()

    def checkpoint(self) -> Checkpoint:
        """The group's checkpoint, which must exist."""
        checkpoint = self.warehouse.checkpoint(SOURCE)
        assert checkpoint is not None
        return checkpoint

    def staging(self, stream: str) -> pa.Table:
        """What the staging table shows as current."""
        return self.warehouse.current(self._target(stream))

    def all_rows(self, stream: str) -> list[dict[str, Any]]:
        """The whole staging table, metadata included."""
        return self.warehouse.rows(self._target(stream)).to_pylist()

    def changelog(self, stream: str) -> list[dict[str, Any]]:
        """The changelog, in sequence order."""
        return sorted(self.warehouse.changelog(self._target(stream)).to_pylist(), key=lambda row: row["_cdc_sequence"])

    def quarantined(self, stream: str) -> list[dict[str, Any]]:
        """The quarantine of a stream."""
        return self.warehouse.quarantined(self._target(stream)).to_pylist()

    def document(self, text: str | None) -> object:
        """What is kept of a JSON text: all of it, but on Snowflake only the document."""
        if text is None or self.kind != "snowflake":
            return text
        return json.loads(text, parse_float=Decimal, parse_int=Decimal)

    def close(self) -> None:
        """Close what was built, and drop the slot and the database."""
        for source in self._sources:
            source.close()
        if self._warehouse is not None:
            self._warehouse.close()
        if self.kind == "snowflake" and self.emulator is not None:
            assert complaints(self.emulator.seen(self.database.upper())) == []
            self.emulator.drop(self.database.upper())
        drop_database(self.server, self.database)

    def _target(self, stream: str):  # type: ignore[no-untyped-def] # Target
        return target_of(self.warehouse.states(SOURCE)[stream])


def create_database(server: EmbeddedPostgres, name: str) -> None:
    """Create an empty database."""
    with psycopg.connect(server.dsn(), autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"')  # type: ignore[arg-type] # a name that tests make up


def drop_database(server: EmbeddedPostgres, name: str) -> None:
    """Drop a database and the slots in it."""
    with psycopg.connect(server.dsn(), autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE database = %s AND active", [name]
        )
        for _ in range(50):
            active = connection.execute(
                "SELECT count(*) FROM pg_replication_slots WHERE database = %s AND active", [name]
            ).fetchone()
            if active == (0,):
                break
            connection.execute("SELECT pg_sleep(0.05)")
        connection.execute(
            "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE database = %s", [name]
        )
        connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')  # type: ignore[arg-type] # see above


def now() -> datetime:
    """The current instant."""
    return datetime.now(UTC)
