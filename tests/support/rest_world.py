"""One API, one DuckDB file and one pipeline between them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import attrs

import adapters.sources.rest
import adapters.warehouses.duckdb
from adapters.clock import SystemClock
from pipeline.application.session import Session
from pipeline.application.sync import SyncResult, sync
from pipeline.domain.checkpoint import Checkpoint
from pipeline.domain.stream import BatchLimits, PipelineSpec, StreamSpec, SystemSpec
from pipeline.ports.warehouse import Warehouse, target_of
from tests.support.rest_server import Api
from tests.support.rig import PatientStop
from tests.support.world import Recorder

SOURCE = "crm"
#: Impatient, so that tests of patience are short.
OPTIONS: dict[str, object] = {"backoff_s": 0.0, "retries": 3, "timeout_s": 5.0}


@attrs.define
class RestWorld:
    """A pipeline of one stream over ``api``; every run wires it anew, as a new process would."""

    api: Api
    folder: Path
    read: dict[str, object] = attrs.field(factory=dict)
    options: dict[str, object] = attrs.field(factory=dict)
    relation: str = "/orders"
    name: str = "orders"
    changes: dict[str, Any] = attrs.field(factory=dict)
    limits: BatchLimits = attrs.field(factory=BatchLimits)
    recorder: Recorder = attrs.field(factory=Recorder)
    _warehouse: Warehouse | None = None

    @property
    def warehouse(self) -> Warehouse:
        """The one warehouse; it outlives every run."""
        if self._warehouse is None:
            self._warehouse = adapters.warehouses.duckdb.build("warehouse", {"path": str(self.folder / "w.duckdb")})
        return self._warehouse

    @property
    def stream(self) -> StreamSpec:
        """The stream as configured."""
        return StreamSpec(self.name, self.relation, SOURCE, read=self.read, **self.changes)

    @property
    def group(self) -> str:
        """The stream's group."""
        return self.stream.table

    def session(self, *, warehouse: Warehouse | None = None) -> Session:
        """A new session, as a new process would build it."""
        source = SystemSpec("rest", SOURCE, {"url": self.api.url, **OPTIONS, **self.options})
        return Session(
            pipeline=PipelineSpec(
                name="shop",
                source=source,
                warehouse=SystemSpec("duckdb", "warehouse"),
                streams={self.name: self.stream},
                limits=self.limits,
                group=self.group,
            ),
            source=adapters.sources.rest.build(SOURCE, source.options, pipeline="shop"),
            warehouse=warehouse or self.warehouse,
            clock=SystemClock(),
            metrics=self.recorder,
            notifier=self.recorder,
            transformer=None,
            stop=PatientStop(),
        )

    def run(self, *, warehouse: Warehouse | None = None, resync: Iterable[str] = ()) -> SyncResult:
        """One bounded run, as ``run`` does it."""
        session = self.session(warehouse=warehouse)
        try:
            return sync(session, resync=list(resync))
        finally:
            session.source.close()

    def checkpoint(self) -> Checkpoint:
        """The group's checkpoint, which must exist."""
        checkpoint = self.warehouse.checkpoint(self.group)
        assert checkpoint is not None
        return checkpoint

    def rows(self) -> list[dict[str, Any]]:
        """What the staging table shows, by its first column."""
        state = self.warehouse.states(self.group)[self.name]
        rows: list[dict[str, Any]] = self.warehouse.current(target_of(state)).to_pylist()
        return sorted(rows, key=lambda row: str(next(iter(row.values()))).rjust(12, "0"))

    def changelog(self) -> list[tuple[str, Any]]:
        """The operations of the changelog and their keys, in order."""
        state = self.warehouse.states(self.group)[self.name]
        table = self.warehouse.changelog(target_of(state)).sort_by("_cdc_sequence")
        return list(zip(table["_cdc_op"].to_pylist(), table[state.schema.key[-1]].to_pylist(), strict=True))

    def quarantined(self) -> list[dict[str, Any]]:
        """The quarantine of the stream."""
        state = self.warehouse.states(self.group)[self.name]
        found: list[dict[str, Any]] = self.warehouse.quarantined(target_of(state)).to_pylist()
        return found

    def loaded(self, result: SyncResult) -> int:
        """How many changes a run loaded behind the first copy."""
        return sum(count.changelog_count for count in result.counts.values())

    def close(self) -> None:
        """Close the warehouse."""
        if self._warehouse is not None:
            self._warehouse.close()
