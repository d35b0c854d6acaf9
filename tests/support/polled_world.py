"""A system without a log, a warehouse of either kind, and a pipeline of one stream between them."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import attrs

import adapters.warehouses.duckdb
import adapters.warehouses.snowflake
from pipeline.application.session import Session
from pipeline.domain.change import GroupBatch
from pipeline.domain.checkpoint import Phase
from pipeline.domain.contract import Contract
from pipeline.domain.counts import StreamCounts
from pipeline.domain.stream import BatchLimits, Mode, StreamSpec
from pipeline.ports.warehouse import Warehouse
from tests.support.child import environment
from tests.support.emulator import Emulator
from tests.support.one_stream import OneStream, session_of
from tests.support.polled_systems import Row, System
from tests.support.statement_order import complaints
from tests.support.world import Recorder

STREAM = "orders"
#: How long a process is waited for.
PATIENCE_S = 120.0
#: How long a process may take to end once it was told to; Docker kills it then. A slow machine gets as much more as it
#: takes longer to start.
GRACE_S, GRACE_SHARE = 10.0, 5
#: What a process says that waits at its step.
AT_STEP = "at the step"
_BUILDERS = {"duckdb": adapters.warehouses.duckdb.build, "snowflake": adapters.warehouses.snowflake.build}


def warehouse_options(kind: str, folder: Path, emulator: Emulator | None, database: str) -> dict[str, object]:
    """The options of a warehouse, as a pipeline file would have them."""
    if kind == "duckdb":
        return {"path": str(folder / "warehouse.duckdb")}
    assert emulator is not None, "Snowflake needs an emulator"
    return emulator.options(database)


@attrs.define
class PolledWorld(OneStream):
    """``kind`` is duckdb, or snowflake on an ``emulator``. Every run wires all anew, as a new process would."""

    system: System
    folder: Path
    kind: str
    emulator: Emulator | None = None
    mode: Mode = Mode.MIRROR
    contract: Contract = attrs.field(factory=Contract)
    limits: BatchLimits = attrs.field(factory=BatchLimits)
    recorder: Recorder = attrs.field(factory=Recorder)
    database: str = attrs.field(factory=Emulator.new_database)
    _warehouse: Warehouse | None = None

    @property
    def options(self) -> dict[str, object]:
        """The warehouse's options."""
        return warehouse_options(self.kind, self.folder, self.emulator, self.database)

    @property
    def warehouse(self) -> Warehouse:
        """The one warehouse; it outlives every run."""
        if self._warehouse is None:
            self._warehouse = _BUILDERS[self.kind]("warehouse", self.options)
        return self._warehouse

    @property
    def spec(self) -> StreamSpec:
        """The stream as configured."""
        system = self.system
        return StreamSpec(STREAM, system.relation, "shop", mode=self.mode, contract=self.contract, read=system.read)

    def session(self, *, warehouse: Any = None) -> Session:
        """A new session; ``warehouse`` may wrap the real one."""
        return session_of(
            self.system.module.build("shop", self.system.options),
            warehouse or self.warehouse,
            self.spec,
            limits=self.limits,
            recorder=self.recorder,
        )

    def loaded(self) -> int:
        """How many changes a run loads behind the first copy."""
        return self.run().counts.get(STREAM, StreamCounts()).changelog_count

    def kill(self, step: str) -> None:
        """A run in a process of its own, killed at a step of ``polled_crasher``."""
        with self._process(step, waits=False) as process:
            _, errors = process.communicate(timeout=PATIENCE_S)
        assert process.returncode == -signal.SIGKILL, errors.decode()

    def terminate(self, step: str) -> None:
        """A process that follows the source, told to end while it is at a step; it does within the grace period."""
        started = time.monotonic()
        with self._process(step, waits=True) as process:
            assert process.stdout is not None
            assert process.stdout.readline().decode().strip() == AT_STEP
            told = time.monotonic()
            process.send_signal(signal.SIGTERM)
            _, errors = process.communicate(timeout=PATIENCE_S)
            took = time.monotonic() - told
        assert process.returncode == 0, errors.decode()
        assert took < max(GRACE_S, GRACE_SHARE * (told - started))

    @contextmanager
    def _process(self, step: str, *, waits: bool) -> Iterator[subprocess.Popen[bytes]]:
        """A process that runs to the step; none is left at the end."""
        if self.kind == "duckdb":
            self.warehouse.close()
        told = {"module": self.system.module.__name__, "source": self.system.options, "step": step, "waits": waits}
        told |= {"warehouse": self.kind, "options": self.options, "relation": self.spec.relation}
        told |= {"read": self.spec.read, "rows": self.limits.rows}
        command = [sys.executable, "-m", "tests.support.polled_crasher", json.dumps(told)]
        pipe = subprocess.PIPE
        with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, env=environment()) as process:
            try:
                yield process
            finally:
                process.kill()

    def staged(self, *names: str) -> list[tuple[Any, ...]]:
        """What the staging table shows as current in these columns, else in those of the system, in order."""
        table = self.warehouse.current(self.target())
        return in_order(table.select(list(names or self.system.columns)).to_pylist())

    def batches(self) -> list[GroupBatch]:
        """What a look finds from the checkpoint on, as batches that are not loaded yet."""
        session = self.session()
        streams = {STREAM: (self.spec, self.warehouse.states(self.group)[STREAM].since)}
        kept = self.warehouse.bookmarks
        session.source.check(self.checkpoint())
        up_to = session.source.mark()
        found: list[GroupBatch] = []
        with session.source.read(
            self.checkpoint(),
            streams,
            limits=self.limits,
            up_to=up_to,
            bookmarks=lambda stream: kept(self.group, stream),
        ) as reader:
            while not found or not found[-1].up_to.covers(up_to):
                batch = reader.next(1.0)
                found += [batch] if batch is not None else []
        session.source.close()
        return found

    def everything(self) -> list[object]:
        """All that the warehouse holds of the stream, less what was counted."""
        bookmarks = sorted(self.warehouse.bookmarks(self.group, STREAM).to_pylist(), key=repr)
        waiting = sorted(self.quarantined(), key=repr)
        return [self.checkpoint(), sorted(self.all_rows(), key=repr), self.changelog(), waiting, bookmarks]

    def shown(self, *names: str) -> list[tuple[Any, ...]]:
        """What the system shows."""
        chosen = names or tuple(self.system.columns)
        return in_order([{name: row.get(name) for name in chosen} for row in self.system.rows])

    def is_copied(self) -> bool:
        """Whether the first copy was loaded."""
        state = self.warehouse.states(self.group).get(STREAM)
        return state is not None and state.phase is Phase.STREAMING

    def all_rows(self) -> list[Row]:
        """The whole staging table, metadata included."""
        rows: list[Row] = self.warehouse.rows(self.target()).to_pylist()
        return rows

    def changelog(self) -> list[Row]:
        """The changelog, in sequence order."""
        rows: list[Row] = self.warehouse.changelog(self.target()).to_pylist()
        return sorted(rows, key=lambda row: int(row["_cdc_sequence"]))

    def quarantined(self) -> list[Row]:
        """The rows that wait in quarantine."""
        rows: list[Row] = self.warehouse.quarantined(self.target()).to_pylist()
        return [row for row in rows if row["status"] == "waiting"]

    def close(self) -> None:
        """Close the warehouse; on the emulator nothing may have been sent out of order."""
        if self._warehouse is not None:
            self._warehouse.close()
        if self.kind == "snowflake" and self.emulator is not None:
            found = complaints(self.emulator.seen(self.database))
            self.emulator.drop(self.database)
            assert found == []


def in_order(rows: list[Row]) -> list[tuple[Any, ...]]:
    """Rows as tuples, in order of what they look like."""
    return sorted((tuple(row.values()) for row in rows), key=repr)
