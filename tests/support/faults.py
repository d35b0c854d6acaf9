"""Scripted faults around real adapters: a warehouse whose commit dies, or whose answer is lost."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from types import TracebackType
from typing import Any

from pipeline.domain.checkpoint import Checkpoint
from pipeline.domain.counts import StreamCounts
from pipeline.domain.errors import CommitUnknown
from pipeline.ports.warehouse import Load, Warehouse


class Died(BaseException):
    """The process is gone; nothing that runs after this point would have run."""


class Fault(Enum):
    """Where a load goes wrong."""

    DIES_BEFORE_COMMIT = "dies before the commit"
    DIES_AFTER_COMMIT = "dies after the commit"
    ANSWER_LOST = "the commit succeeds but its answer is lost"
    COMMIT_LOST = "the commit never arrives and the connection is lost"


class FaultyWarehouse:
    """Hands every call on to a real warehouse; the next ``count`` commits go wrong as scripted."""

    def __init__(self, warehouse: Warehouse, fault: Fault, *, count: int = 1) -> None:
        self._warehouse = warehouse
        self._fault = fault
        self.remaining = count

    def __getattr__(self, name: str) -> Any:
        return getattr(self._warehouse, name)

    def load(self, previous: Checkpoint, checkpoint: Checkpoint) -> Load:
        load = self._warehouse.load(previous, checkpoint)
        if not self.remaining:
            return load
        self.remaining -= 1
        return FaultyLoad(load, self._fault)  # type: ignore[return-value] # hands everything on


class FaultyLoad:
    """A load whose commit goes wrong."""

    def __init__(self, load: Load, fault: Fault) -> None:
        self._load = load
        self._fault = fault

    def __getattr__(self, name: str) -> Any:
        return getattr(self._load, name)

    def __enter__(self) -> FaultyLoad:
        self._load.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        return self._load.__exit__(kind, error, trace)

    def commit(self, counts: Mapping[str, StreamCounts]) -> None:
        if self._fault in {Fault.DIES_AFTER_COMMIT, Fault.ANSWER_LOST}:
            self._load.commit(counts)
        if self._fault in {Fault.DIES_BEFORE_COMMIT, Fault.DIES_AFTER_COMMIT}:
            raise Died(self._fault.value)
        raise CommitUnknown("the connection was lost during COMMIT", where="warehouse")
