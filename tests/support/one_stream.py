"""What pipelines of one stream over a source without a log share: a run's parts, wired, and what is done with them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable

from adapters.clock import SystemClock
from pipeline.application.session import Session, Stop
from pipeline.application.sync import SyncResult, sync
from pipeline.application.verify import VerifyResult, verify
from pipeline.domain.checkpoint import Checkpoint
from pipeline.domain.stream import BatchLimits, PipelineSpec, StreamSpec, SystemSpec
from pipeline.ports.source import Source
from pipeline.ports.warehouse import Target, Warehouse, target_of
from tests.support.rig import PatientStop
from tests.support.world import Recorder


class OneStream(ABC):
    """A warehouse that outlives every run, and runs that wire all else anew, as a new process would."""

    @property
    @abstractmethod
    def warehouse(self) -> Warehouse:
        """The one warehouse."""

    @property
    @abstractmethod
    def spec(self) -> StreamSpec:
        """The stream as configured."""

    @abstractmethod
    def session(self, *, warehouse: Warehouse | None = None) -> Session:
        """A new session; ``warehouse`` may wrap the real one."""

    @property
    def group(self) -> str:
        """The stream's group."""
        return self.spec.table

    def run(self, *, warehouse: Warehouse | None = None, resync: Iterable[str] = ()) -> SyncResult:
        """One bounded run, as ``run`` does it."""
        session = self.session(warehouse=warehouse)
        try:
            return sync(session, resync=list(resync))
        finally:
            session.source.close()

    def verify(self) -> VerifyResult:
        """Compare source and warehouse."""
        session = self.session()
        try:
            return verify(session)
        finally:
            session.source.close()

    def checkpoint(self) -> Checkpoint:
        """The group's checkpoint, which must exist."""
        checkpoint = self.warehouse.checkpoint(self.group)
        assert checkpoint is not None
        return checkpoint

    def target(self) -> Target:
        """The staging table's description."""
        return target_of(self.warehouse.states(self.group)[self.spec.name])


def session_of(
    source: Source,
    warehouse: Warehouse,
    spec: StreamSpec,
    *,
    limits: BatchLimits,
    recorder: Recorder,
    stop: Stop | None = None,
) -> Session:
    """The parts of a run, wired; unless a ``stop`` is given, nothing waits long."""
    pipeline = PipelineSpec(
        name="shop",
        source=SystemSpec("polled", spec.source),
        warehouse=SystemSpec("any", "warehouse"),
        streams={spec.name: spec},
        limits=limits,
        group=spec.table,
    )
    return Session(
        pipeline=pipeline,
        source=source,
        warehouse=warehouse,
        clock=SystemClock(),
        metrics=recorder,
        notifier=recorder,
        transformer=None,
        stop=stop or PatientStop(),
    )
