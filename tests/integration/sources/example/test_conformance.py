"""The example of ``adapters/README.md`` keeps what every source without a log owes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from adapters.sources.polling.detection import PollDetector
from adapters.sources.polling.source import PollSource
from pipeline.domain.change import Operation
from pipeline.domain.stream import StreamSpec
from tests.conformance.polled import PolledDeletesConformance, PolledHarness
from tests.conformance.source import Change
from tests.support import example_source
from tests.support.memo_server import MemoServer

pytestmark = pytest.mark.integration


class MemoHarness(PolledHarness):
    def __init__(self, server: MemoServer) -> None:
        self._server = server
        self._options = {"host": "127.0.0.1", "port": server.port, "poll_s": 0.01}

    @property
    def specs(self) -> dict[str, StreamSpec]:
        return {"orders": StreamSpec("orders", "orders", "memos", read={"page": 7, "max_vanished": 0.75})}

    def source(self) -> PollSource:
        return example_source.build("memos", self._options)

    def detector(self) -> PollDetector:
        return example_source.build_detector("memos", self._options)

    def commit(self, *changes: Change) -> None:
        for shelf, operation, row in changes:
            if operation is Operation.DELETE:
                self._server.remove(shelf, row["id"])
            else:
                self._server.put(shelf, row["id"], row["note"])

    def rows(self, stream: str) -> dict[int, dict[str, Any]]:
        return {number: {"id": number, "note": note} for number, note in self._server.shelves[stream].items()}

    @contextmanager
    def failing_half_way(self) -> Iterator[None]:
        self._server.breaks_after = 2
        yield
        self._server.breaks_after = None

    @contextmanager
    def unreachable(self) -> Iterator[None]:
        self._server.is_deaf = True
        yield
        self._server.is_deaf = False


class TestMemos(PolledDeletesConformance):
    @pytest.fixture
    def harness(self) -> Iterator[PolledHarness]:
        with MemoServer() as server:
            yield MemoHarness(server)
