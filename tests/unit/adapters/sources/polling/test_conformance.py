"""Every way of reading a system without a log keeps what such sources owe."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytest

from adapters.sources.polling.detection import PollDetector
from adapters.sources.polling.extractor import Extraction
from adapters.sources.polling.source import PollSource
from pipeline.domain.change import Operation
from pipeline.domain.errors import PipelineError, SourceError, SourceUnreachable
from pipeline.domain.stream import StreamSpec
from pipeline.ports.source import Source
from tests.conformance.polled import (
    MisfitsHarness,
    PolledDeletesConformance,
    PolledHarness,
    PolledMisfitsConformance,
)
from tests.conformance.source import Change
from tests.support import shelf
from tests.support.shelf import SPEC, WITH_AT, Shelf, ShelfExtractor

How = Callable[[ShelfExtractor, Mapping[str, str]], Extraction]


class ShelfHarness(MisfitsHarness):
    def __init__(self, how: How) -> None:
        self._shelf = Shelf(page_rows=7)
        self._how = how

    @property
    def specs(self) -> dict[str, StreamSpec]:
        return {"orders": SPEC}

    @property
    def columns(self) -> tuple[str, ...]:
        return WITH_AT.names

    def source(self) -> PollSource:
        return PollSource(self._extractor())

    def detector(self) -> PollDetector:
        return PollDetector(self._extractor())

    def commit(self, *changes: Change) -> None:
        for _, operation, row in changes:
            if operation is Operation.DELETE:
                self._shelf.remove(row["id"])
            else:
                self._shelf.put(row)

    def spoil(self, number: int) -> tuple[str, str]:
        self._shelf.put({"id": number, "note": "odd", "size": "a lot"})
        return "size", "a lot"

    def rows(self, stream: str) -> dict[int, dict[str, Any]]:
        return {row["id"]: {name: row[name] for name in WITH_AT.names} for row in self._shelf.rows}

    @contextmanager
    def failing_half_way(self) -> Iterator[None]:
        with self._failing(SourceError("the answer was no page")):
            yield

    @contextmanager
    def unreachable(self) -> Iterator[None]:
        with self._failing(SourceUnreachable("no answer")):
            yield

    @contextmanager
    def _failing(self, fault: PipelineError) -> Iterator[None]:
        self._shelf.fault = fault
        yield
        self._shelf.fault = None

    def _extractor(self) -> ShelfExtractor:
        return ShelfExtractor(self._shelf, self._how, schema_now=WITH_AT, max_vanished_share=0.75)


class TestImages(PolledDeletesConformance, PolledMisfitsConformance):
    @pytest.fixture(params=[shelf.image, shelf.shifting_image], ids=["one reading", "looked for twice"])
    def harness(self, request: pytest.FixtureRequest) -> MisfitsHarness:
        return ShelfHarness(request.param)


class TestWindowAndKeys(PolledDeletesConformance, PolledMisfitsConformance):
    @pytest.fixture
    def harness(self) -> MisfitsHarness:
        return ShelfHarness(shelf.window_and_keys)


WINDOWS: dict[str, How] = {
    f"{'ordered' if is_ordered else 'unordered'}, overlap {overlap}": functools.partial(
        shelf.window, overlap=overlap, is_ordered=is_ordered
    )
    for is_ordered in (True, False)
    for overlap in (None, 3)
}


class TestWindows(PolledMisfitsConformance):
    @pytest.fixture(params=WINDOWS.values(), ids=WINDOWS)
    def harness(self, request: pytest.FixtureRequest) -> MisfitsHarness:
        return ShelfHarness(request.param)


class TestPlainChanges(PolledMisfitsConformance):
    @pytest.fixture
    def harness(self) -> MisfitsHarness:
        return ShelfHarness(shelf.plain_changes)


class TestReplacements(PolledMisfitsConformance):
    @pytest.fixture
    def harness(self) -> MisfitsHarness:
        return ShelfHarness(shelf.replacement)

    def test_wherever_a_run_dies_the_next_one_ends_with_the_same_rows(
        self, harness: PolledHarness, source: Source
    ) -> None:
        """A replacement is one batch: there is nowhere to die in it."""
        follower = self.filled(harness, source)
        assert not self.die_after(harness, follower.copied(), 0)
        assert self.die_after(harness, follower, 1)
        assert follower.rows["orders"] == harness.rows("orders")
