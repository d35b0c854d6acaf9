"""What every detector of changes has to keep, whatever system it looks at: the promises of ``pipeline.ports.changes``.

Subclass ``DetectorConformance``, give it a ``harness`` fixture, and pytest runs the suite against the adapter.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable

import pytest

from pipeline.domain.position import Position
from pipeline.domain.stream import BatchLimits, StreamSpec
from pipeline.ports.changes import ChangeDetector, Look
from pipeline.ports.source import LogReader
from tests.conformance.following import EPOCH, Follower
from tests.conformance.log import LogHarness
from tests.conformance.source import PATIENCE_S, Change, insert
from tests.support.postgres import wait_for


class DetectorHarness(LogHarness):
    """A system under test as for sources, with a table ``others`` beside that no stream reads."""

    @abstractmethod
    def detector(self) -> ChangeDetector:
        """A new detector over the system."""

    @abstractmethod
    def roll_back(self, *changes: Change) -> None:
        """Do the changes in a transaction and undo it."""

    @abstractmethod
    def truncate(self, stream: str) -> None:
        """Empty a table by one statement."""


class DetectorConformance(ABC):
    """The suite."""

    @pytest.fixture
    @abstractmethod
    def harness(self) -> DetectorHarness:
        """The system under test."""

    @pytest.fixture
    def specs(self, harness: DetectorHarness) -> tuple[StreamSpec, ...]:
        return tuple(harness.specs.values())

    @pytest.fixture
    def detector(self, harness: DetectorHarness) -> ChangeDetector:
        return harness.detector()

    @pytest.fixture
    def follower(self, harness: DetectorHarness, specs: tuple[StreamSpec, ...]) -> Follower:
        """The log is kept from here on."""
        return begin(harness, specs)

    def test_a_log_that_is_not_kept_yet_is_told_of_once(
        self, detector: ChangeDetector, specs: tuple[StreamSpec, ...]
    ) -> None:
        first = detector.look(specs)
        assert first.has_changes
        assert detector.look(specs, since=first.mark) == Look(False, first.mark)

    def test_a_log_that_was_lost_is_told_of(
        self, harness: DetectorHarness, detector: ChangeDetector, specs: tuple[StreamSpec, ...], follower: Follower
    ) -> None:
        before = detector.look(specs)
        harness.lose_log()
        assert detector.look(specs, since=before.mark).has_changes

    def test_changes_are_told_of_once_and_stay_for_the_run(
        self, harness: DetectorHarness, detector: ChangeDetector, specs: tuple[StreamSpec, ...], follower: Follower
    ) -> None:
        seen = detector.look(specs)
        assert not seen.has_changes
        confirmed = harness.confirmed()
        harness.commit(insert("items", 1))
        seen = look_until_told(detector.look, specs, seen)
        assert not detector.look(specs, since=seen.mark).has_changes
        assert harness.confirmed() == confirmed
        assert harness.detector().look(specs).has_changes
        with read(harness, follower) as reader:
            follower.take(next_batch(reader))
        assert follower.rows["items"] == harness.rows("items")

    def test_what_comes_after_a_load_is_told_of_again(
        self, harness: DetectorHarness, detector: ChangeDetector, specs: tuple[StreamSpec, ...], follower: Follower
    ) -> None:
        seen = detector.look(specs)
        for number in (1, 2):
            harness.commit(insert("items", number))
            seen = look_until_told(detector.look, specs, seen)
            with read(harness, follower) as reader:
                follower.take(next_batch(reader))
                reader.acknowledge(follower.position)
            harness.settle()
        assert not detector.look(specs, since=seen.mark).has_changes

    def test_a_change_is_no_longer_told_of_once_it_is_loaded(
        self, harness: DetectorHarness, specs: tuple[StreamSpec, ...], follower: Follower
    ) -> None:
        harness.commit(insert("items", 1))
        with read(harness, follower) as reader:
            follower.take(next_batch(reader))
            reader.acknowledge(follower.position)
        harness.settle()
        assert not harness.detector().look(specs).has_changes

    def test_a_truncation_is_a_change(
        self, harness: DetectorHarness, detector: ChangeDetector, specs: tuple[StreamSpec, ...], follower: Follower
    ) -> None:
        seen = detector.look(specs)
        harness.truncate("orders")
        assert look_until_told(detector.look, specs, seen).has_changes

    def test_what_was_undone_and_what_the_pipeline_writes_itself_is_none(
        self, harness: DetectorHarness, detector: ChangeDetector, specs: tuple[StreamSpec, ...], follower: Follower
    ) -> None:
        harness.roll_back(insert("items", 1))
        harness.source().mark()
        assert not detector.look(specs).has_changes

    def test_while_the_log_is_read_nothing_is_told_and_nothing_forgotten(
        self, harness: DetectorHarness, detector: ChangeDetector, specs: tuple[StreamSpec, ...], follower: Follower
    ) -> None:
        before = detector.look(specs)
        with read(harness, follower):
            harness.commit(insert("items", 1))
            assert detector.look(specs, since=before.mark) == Look(False, before.mark, is_read=True)
        harness.settle()
        assert look_until_told(detector.look, specs, before).has_changes

    def test_behind_a_reader_changes_are_told_of_once_it_has_confirmed_them(
        self, harness: DetectorHarness, detector: ChangeDetector, specs: tuple[StreamSpec, ...], follower: Follower
    ) -> None:
        before = detector.look_behind(specs)
        assert not before.has_changes
        with read(harness, follower) as reader:
            # What was there before the first look is told of first.
            seen = look_until_told(detector.look_behind, specs, before)
            harness.commit(insert("items", 1))
            follower.take(next_batch(reader))
            for _ in range(3):
                seen = detector.look_behind(specs, since=seen.mark)
                assert not seen.has_changes
            reader.acknowledge(follower.position)
            seen = look_until_told(detector.look_behind, specs, seen)
            assert not detector.look_behind(specs, since=seen.mark).has_changes
        harness.settle()
        assert not detector.look_behind(specs, since=seen.mark).has_changes


def begin(harness: LogHarness, specs: tuple[StreamSpec, ...]) -> Follower:
    """Have the log kept, with empty tables."""
    source = harness.source()
    source.prepare(specs)
    with source.begin(specs, epoch=EPOCH) as snapshot:
        streams = {spec.name: (spec, snapshot.position) for spec in specs}
        follower = Follower(streams, snapshot.position, {spec.name: {} for spec in specs})
    harness.settle()
    return follower


def read(harness: LogHarness, follower: Follower, *, up_to: Position | None = None) -> LogReader:
    """Read on from where the follower is."""
    limits = BatchLimits(rows=100, age_s=0.05)
    return harness.source().read(follower.checkpoint, follower.streams, limits=limits, up_to=up_to)


def next_batch(reader: LogReader):  # type: ignore[no-untyped-def] # pytest's own modules are not checked
    """The next batch that holds rows."""
    while True:
        batch = reader.next(PATIENCE_S)
        assert batch is not None
        if batch.row_count:
            return batch


def look_until_told(look: Callable[..., Look], specs: tuple[StreamSpec, ...], seen: Look) -> Look:
    """Look with the last mark, as a caller would, until a change is told of."""
    looks = [seen]

    def told() -> bool:
        looks.append(look(specs, since=looks[-1].mark))
        return looks[-1].has_changes

    wait_for(told)
    return looks[-1]
