"""One API, one DuckDB file and one pipeline between them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import attrs

import adapters.sources.rest
import adapters.warehouses.duckdb
from pipeline.application.session import Session
from pipeline.application.sync import SyncResult
from pipeline.domain.stream import BatchLimits, StreamSpec
from pipeline.ports.warehouse import Warehouse
from tests.support.one_stream import OneStream, session_of
from tests.support.rest_server import Api
from tests.support.world import Recorder

SOURCE = "crm"
#: Impatient, so that tests of patience are short.
OPTIONS: dict[str, object] = {"backoff_s": 0.0, "retries": 3, "timeout_s": 5.0}


@attrs.define
class RestWorld(OneStream):
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
    def spec(self) -> StreamSpec:
        """The stream as configured."""
        return StreamSpec(self.name, self.relation, SOURCE, read=self.read, **self.changes)

    def session(self, *, warehouse: Warehouse | None = None) -> Session:
        """A new session, as a new process would build it."""
        options = {"url": self.api.url, **OPTIONS, **self.options}
        source = adapters.sources.rest.build(SOURCE, options, pipeline="shop")
        return session_of(source, warehouse or self.warehouse, self.spec, limits=self.limits, recorder=self.recorder)

    def rows(self) -> list[dict[str, Any]]:
        """What the staging table shows, by its first column."""
        rows: list[dict[str, Any]] = self.warehouse.current(self.target()).to_pylist()
        return sorted(rows, key=lambda row: str(next(iter(row.values()))).rjust(12, "0"))

    def changelog(self) -> list[tuple[str, Any]]:
        """The operations of the changelog and their keys, in order."""
        target = self.target()
        table = self.warehouse.changelog(target).sort_by("_cdc_sequence")
        return list(zip(table["_cdc_op"].to_pylist(), table[target.schema.key[-1]].to_pylist(), strict=True))

    def quarantined(self) -> list[dict[str, Any]]:
        """The quarantine of the stream."""
        found: list[dict[str, Any]] = self.warehouse.quarantined(self.target()).to_pylist()
        return found

    def loaded(self, result: SyncResult) -> int:
        """How many changes a run loaded behind the first copy."""
        return sum(count.changelog_count for count in result.counts.values())

    def close(self) -> None:
        """Close the warehouse."""
        if self._warehouse is not None:
            self._warehouse.close()
