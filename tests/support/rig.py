"""A session over a source in memory and the warehouse in memory, for tests of use cases."""

from __future__ import annotations

import threading
from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from typing import Any

import attrs

import adapters.warehouses.memory
from pipeline.application.session import Session
from pipeline.domain.finding import Finding
from pipeline.domain.stream import BatchLimits, PipelineSpec, StreamSpec, SystemSpec
from pipeline.ports.transformer import NodeResult, TransformResult
from pipeline.ports.warehouse import Warehouse, target_of
from tests.support.memory_source import Database, MemorySource
from tests.support.world import Recorder


class HandClock:
    """A clock that moves only when told to, or by sleeping."""

    def __init__(self) -> None:
        self.elapsed = 0.0

    def now(self) -> datetime:
        return datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=self.elapsed)

    def monotonic(self) -> float:
        return self.elapsed

    def sleep(self, seconds: float) -> None:
        self.elapsed += seconds


class PatientStop(threading.Event):
    """A stop that remembers how long it was waited on instead of waiting, and stops after ``patience`` waits."""

    def __init__(self, patience: int = 1_000) -> None:
        super().__init__()
        self.waits: list[float] = []
        self._patience = patience

    def wait(self, timeout: float | None = None) -> bool:
        self.waits.append(timeout or 0.0)
        if len(self.waits) >= self._patience:
            self.set()
        return self.is_set()


@attrs.define
class RecordingTransformer:
    """Keeps what it was asked to build, and what was last said to be absent; ``failing`` makes a model fail."""

    builds: list[list[str] | None] = attrs.field(factory=list)
    absent: list[str] = attrs.field(factory=list)
    failing: bool = False
    closed: int = 0

    def warm(self) -> None:
        """Nothing to warm."""

    def build(
        self, tables: Collection[str] | None = None, *, absent: Collection[str] = (), full_refresh: bool = False
    ) -> TransformResult:
        self.absent = list(absent)
        self.builds.append(None if tables is None else list(tables))
        status = "error" if self.failing else "success"
        return TransformResult((NodeResult("fct_orders", "model", status, 0.1),), 0.1)

    def inspect(self) -> tuple[Finding, ...]:
        return ()

    def close(self) -> None:
        self.closed += 1


@attrs.define
class Rig:
    """The parts of one pipeline; ``session()`` wires them anew, as a new process would."""

    database: Database = attrs.field(factory=Database)
    warehouse: Warehouse = attrs.field(factory=lambda: adapters.warehouses.memory.build("memory", {}))
    clock: HandClock = attrs.field(factory=HandClock)
    recorder: Recorder = attrs.field(factory=Recorder)
    stop: PatientStop = attrs.field(factory=PatientStop)
    streams: dict[str, StreamSpec] = attrs.field(
        factory=lambda: {"orders": StreamSpec(name="orders", relation="orders", source="shop")}
    )
    limits: BatchLimits = attrs.field(factory=BatchLimits)
    transformer: RecordingTransformer | None = None

    def session(self, *, warehouse: Any = None) -> Session:
        spec = PipelineSpec(
            name="shop",
            source=SystemSpec("memory", "shop"),
            warehouse=SystemSpec("memory", "memory"),
            streams=dict(self.streams),
            limits=self.limits,
        )
        return Session(
            pipeline=spec,
            source=MemorySource(self.database),
            warehouse=warehouse or self.warehouse,
            clock=self.clock,
            metrics=self.recorder,
            notifier=self.recorder,
            transformer=self.transformer,
            stop=self.stop,
        )

    def stream(self, name: str = "orders", **changes: Any) -> None:
        known = self.streams.get(name) or StreamSpec(name=name, relation=name, source="shop")
        self.streams[name] = attrs.evolve(known, **changes)

    def current(self, stream: str = "orders") -> list[dict[str, Any]]:
        """What the staging table shows."""
        state = self.warehouse.states("shop")[stream]
        rows: list[dict[str, Any]] = self.warehouse.current(target_of(state)).to_pylist()
        return sorted(rows, key=lambda row: row["id"])

    def table(self, name: str = "orders") -> list[dict[str, Any]]:
        """What the source table holds."""
        return sorted(self.database.tables[name].values(), key=lambda row: row["id"])
