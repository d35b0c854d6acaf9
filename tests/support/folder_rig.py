"""A pipeline over files, local or in a bucket, into a real DuckDB warehouse: what tests drop is what it finds."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path
from typing import Any

import attrs
import pyarrow as pa

import adapters.sources.files
import adapters.warehouses.duckdb
from pipeline.application.session import Session
from pipeline.domain.contract import Contract
from pipeline.domain.counts import StreamCounts
from pipeline.domain.stream import BatchLimits, Mode, StreamSpec
from pipeline.ports.source import Source
from pipeline.ports.warehouse import Warehouse
from tests.support.one_stream import OneStream, session_of
from tests.support.world import Recorder

STREAM = "prices"


@attrs.define
class FolderRig(OneStream):
    """One stream of files below ``url``; ``session()`` wires everything anew, as a new process would."""

    folder: Path
    url: str = ""
    options: dict[str, object] = attrs.field(factory=dict)
    read: dict[str, object] = attrs.field(factory=dict)
    mode: Mode = Mode.MIRROR
    contract: Contract = attrs.field(factory=Contract)
    masks: dict[str, str] = attrs.field(factory=dict)
    limits: BatchLimits = attrs.field(factory=BatchLimits)
    recorder: Recorder = attrs.field(factory=Recorder)
    _warehouse: Warehouse | None = None

    def __attrs_post_init__(self) -> None:
        self.drop.mkdir(parents=True, exist_ok=True)
        self.url = self.url or str(self.drop)

    @property
    def drop(self) -> Path:
        """The folder that is the source, if it is a local one."""
        return self.folder / "drop"

    @property
    def spec(self) -> StreamSpec:
        """The stream as configured."""
        read = {"path": "*.csv", "min_age_s": 0.0, **self.read}
        return StreamSpec(
            name=STREAM,
            relation=STREAM,
            source="drop",
            mode=self.mode,
            read=read,
            contract=self.contract,
            masks=self.masks,
        )

    @property
    def warehouse(self) -> Warehouse:
        """The one warehouse."""
        if self._warehouse is None:
            options = {"path": str(self.folder / "warehouse.duckdb")}
            self._warehouse = adapters.warehouses.duckdb.build("warehouse", options)
        return self._warehouse

    def put(self, path: str, content: bytes | str, *, modified: float | None = None) -> Path:
        """Write a file as it were a while ago, so that it is settled; each later one a little later."""
        file = self.drop / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content.encode() if isinstance(content, str) else content)
        at = time.time() - 60 if modified is None else modified
        os.utime(file, (at, at))
        return file

    def source(self) -> Source:
        """The source as configured."""
        return adapters.sources.files.build("drop", {"url": self.url, **self.options})

    def session(self, *, warehouse: Warehouse | None = None) -> Session:
        """A new session."""
        return session_of(
            self.source(),
            warehouse or self.warehouse,
            self.spec,
            limits=self.limits,
            recorder=self.recorder,
            stop=threading.Event(),
        )

    def changed(self) -> StreamCounts:
        """What a bounded run loads, beyond a first copy."""
        return self.run().counts.get(STREAM, StreamCounts())

    def rows(self, *names: str) -> list[tuple[Any, ...]]:
        """What the staging table shows, in order, of these columns."""
        table = self.warehouse.current(self.target())
        chosen = table.select(list(names)) if names else table
        return sorted((tuple(row.values()) for row in chosen.to_pylist()), key=repr)

    def schema(self) -> pa.Schema:
        """The columns of the staging table."""
        return self.warehouse.states(self.group)[STREAM].schema.arrow()

    def quarantined(self, status: str = "waiting") -> list[dict[str, Any]]:
        """The rows in quarantine that have this status, in order."""
        rows = self.warehouse.quarantined(self.target()).to_pylist()
        return sorted((row for row in rows if row["status"] == status), key=lambda row: row["row"])

    def bookmarks(self) -> dict[str, str]:
        """What is remembered of the stream."""
        kept = self.warehouse.bookmarks(self.group, STREAM)
        return dict(zip(kept["name"].to_pylist(), kept["value"].to_pylist(), strict=True))

    def close(self) -> None:
        """Close the warehouse."""
        if self._warehouse is not None:
            self._warehouse.close()
