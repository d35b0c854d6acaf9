"""What a source without a log owes beside what every source does: no row missing, none wrongly gone, whatever fails.

Subclass ``PolledConformance``, ``PolledDeletesConformance`` as well where the system's deletes are seen, and
``PolledMisfitsConformance`` where it can hold values that a column's type cannot; give it a ``harness`` fixture, and
pytest runs all of them against the adapter.
"""

from __future__ import annotations

from abc import abstractmethod
from contextlib import AbstractContextManager

import pytest

from adapters.sources.polling import positions
from pipeline.domain.checkpoint import Checkpoint
from pipeline.domain.errors import PipelineError, SourceRejected, SourceUnreachable
from pipeline.domain.position import Position
from pipeline.domain.stream import BatchLimits
from pipeline.ports.changes import ChangeDetector
from pipeline.ports.source import LogStatus, Source
from tests.conformance.following import Follower
from tests.conformance.source import PATIENCE_S, SourceConformance, SourceHarness, delete, insert, update

#: A text that is in a row and must be in no message.
CANARY = "canary-7f3a"


class PolledHarness(SourceHarness):
    """A system with ``orders`` alone, read a few rows at a time: 40 rows take more than one piece."""

    #: Whether a mark tells, without reading the rows, that nothing changed.
    has_marks = True

    @abstractmethod
    def detector(self) -> ChangeDetector:
        """A new detector over the system."""

    @abstractmethod
    def failing_half_way(self) -> AbstractContextManager[None]:
        """While it lasts, reading ``orders``, which has 40 rows, breaks off after some of them were read."""

    @abstractmethod
    def unreachable(self) -> AbstractContextManager[None]:
        """While it lasts, the system cannot be reached."""


class MisfitsHarness(PolledHarness):
    """One whose system can hold values that a column's type cannot."""

    @abstractmethod
    def spoil(self, number: int) -> tuple[str, str]:
        """Write the row of ``orders`` with this id, which has to be there, with such a value; column and text of it."""


class PolledConformance(SourceConformance):
    """The suite."""

    #: As small as batches get.
    SMALL = BatchLimits(rows=1)

    @pytest.fixture
    @abstractmethod
    def harness(self) -> PolledHarness:
        """A fresh system."""

    def filled(self, harness: PolledHarness, source: Source) -> Follower:
        """Forty rows, copied, then others written: a look at them has something to tell from the first to the last."""
        harness.commit(*(insert("orders", number, f"{CANARY} {number}") for number in range(1, 41)))
        follower = self.begin(harness, source)
        harness.commit(*(update("orders", number, f"changed {number}") for number in range(1, 41, 3)))
        harness.commit(*(insert("orders", number, "new") for number in range(41, 46)))
        return follower

    def test_nothing_is_kept_at_the_source(self, harness: PolledHarness, source: Source) -> None:
        assert (source.log().status, source.log().confirmed) == (LogStatus.NONE, None)
        follower = self.begin(harness, source)
        assert source.check(follower.checkpoint).status is LogStatus.NONE
        source.forget()
        self.drain(source, follower)

    def test_small_batches_give_the_same_rows(self, harness: PolledHarness, source: Source) -> None:
        follower = self.filled(harness, source)
        self.drain(source, follower, limits=self.SMALL)
        assert follower.rows["orders"] == harness.rows("orders")

    def test_wherever_a_run_dies_the_next_one_ends_with_the_same_rows(
        self, harness: PolledHarness, source: Source
    ) -> None:
        begun = self.filled(harness, source)
        for survived_count in range(100):
            follower = begun.copied()
            has_ended = self.die_after(harness, follower, survived_count)
            later = harness.source()
            self.drain(later, follower, limits=self.SMALL)
            later.close()
            assert follower.rows["orders"] == harness.rows("orders")
            if has_ended:
                break
        assert survived_count >= 1

    def die_after(self, harness: PolledHarness, follower: Follower, batch_count: int) -> bool:
        """A run of which so many batches were loaded, and others read ahead; whether it came to its end."""
        source = harness.source()
        end = source.mark()
        with self.open(source, follower, limits=self.SMALL, up_to=end) as reader:
            for _ in range(batch_count):
                batch = reader.next(PATIENCE_S)
                assert batch is not None
                follower.take(batch)
                if follower.position == end:
                    break
            reader.next(PATIENCE_S)  # read ahead, never loaded
        source.close()
        return follower.position == end

    def test_a_reading_that_breaks_off_loses_nothing_and_takes_nothing_for_gone(
        self, harness: PolledHarness, source: Source
    ) -> None:
        follower = self.filled(harness, source)
        end = source.mark()
        with harness.failing_half_way(), pytest.raises(PipelineError) as failed:
            self.take_all(source, follower, end)
        assert not follower.position.covers(end)
        assert CANARY not in str(failed.value)
        assert "orders" in str(failed.value)
        assert set(follower.rows["orders"]) >= set(range(1, 41))

        later = harness.source()
        self.drain(later, follower)
        later.close()
        assert follower.rows["orders"] == harness.rows("orders")

    def take_all(self, source: Source, follower: Follower, end: Position) -> None:
        """Load what comes, up to ``end`` or an error."""
        with self.open(source, follower, limits=self.SMALL, up_to=end) as reader:
            while follower.position != end:
                batch = reader.next(PATIENCE_S)
                assert batch is not None
                follower.take(batch)

    def test_a_copy_that_breaks_off_is_an_error(self, harness: PolledHarness, source: Source) -> None:
        harness.commit(*(insert("orders", number, CANARY) for number in range(1, 41)))
        source.schemas(tuple(harness.specs.values()))
        with harness.failing_half_way(), pytest.raises(PipelineError) as failed:
            self.begin(harness, source)
        assert CANARY not in str(failed.value)

    def test_a_system_that_cannot_be_reached_is_tried_again(self, harness: PolledHarness, source: Source) -> None:
        follower = self.filled(harness, source)
        with harness.unreachable():
            later = harness.source()
            with pytest.raises(SourceUnreachable) as failed:
                self.take_all(later, follower, later.mark())
            later.close()
        assert failed.value.retries
        assert CANARY not in str(failed.value)
        self.drain(source, follower)
        assert follower.rows["orders"] == harness.rows("orders")

    def test_a_long_run_looks_again_and_again(self, harness: PolledHarness, source: Source) -> None:
        follower = self.begin(harness, source)
        with self.open(source, follower) as reader:
            for number in (1, 2):
                harness.commit(insert("orders", number, "new"))
                while set(follower.rows["orders"]) != set(range(1, number + 1)):
                    batch = reader.next(PATIENCE_S)
                    if batch is not None:
                        follower.take(batch)
        assert follower.rows["orders"] == harness.rows("orders")

    def test_a_clock_that_was_set_back_stops_nothing(
        self, harness: PolledHarness, source: Source, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        harness.commit(insert("orders", 1, "before"))
        follower = self.begin(harness, source)
        behind = positions._now() - 3_600_000_000
        monkeypatch.setattr(positions, "_now", lambda: behind)
        harness.commit(insert("orders", 2, "after"), update("orders", 1, "changed"))
        later = harness.source()
        later.check(follower.checkpoint)
        self.drain(later, follower)
        later.close()
        assert follower.rows["orders"] == harness.rows("orders")

    def test_the_checkpoint_of_another_kind_of_source_is_refused(self, harness: PolledHarness, source: Source) -> None:
        follower = self.begin(harness, source)
        known = follower.checkpoint
        other = Checkpoint("shop", Position({"lsn": 4711}), load=known.load, epoch=known.epoch, at=known.at)
        with pytest.raises(SourceRejected) as refused:
            source.check(other)
        assert refused.value.facts["case"] == "another_kind"

    def test_a_detector_tells_of_changes_and_where_it_can_of_none(self, harness: PolledHarness, source: Source) -> None:
        specs = tuple(harness.specs.values())
        harness.commit(insert("orders", 1, "before"))
        detector = harness.detector()
        first = detector.look(specs)
        assert first.has_changes
        again = detector.look(specs, since=first.mark)
        assert again.has_changes is not harness.has_marks
        harness.commit(update("orders", 1, "after"))
        assert detector.look(specs, since=again.mark).has_changes
        detector.close()
        detector.close()


class PolledDeletesConformance(PolledConformance):
    """The suite of a source whose deletes are seen; of 40 rows more than 30 may not be gone at once."""

    def test_deletes_are_found(self, harness: PolledHarness, source: Source) -> None:
        follower = self.filled(harness, source)
        harness.commit(*(delete("orders", number) for number in (1, 2, 20, 45)))
        self.drain(source, follower)
        assert follower.rows["orders"] == harness.rows("orders")
        assert set(follower.rows["orders"]) == set(range(1, 46)) - {1, 2, 20, 45}

    def test_a_row_that_was_gone_comes_back(self, harness: PolledHarness, source: Source) -> None:
        follower = self.filled(harness, source)
        self.drain(source, follower)
        for change in (delete("orders", 3), insert("orders", 3, f"{CANARY} 3")):
            harness.commit(change)
            self.drain(source, follower)
            assert follower.rows["orders"] == harness.rows("orders")
        assert 3 in follower.rows["orders"]

    def test_too_many_gone_at_once_are_taken_for_a_fault(self, harness: PolledHarness, source: Source) -> None:
        follower = self.filled(harness, source)
        self.drain(source, follower)
        before = dict(follower.rows["orders"])
        harness.commit(*(delete("orders", number) for number in range(1, 42)))
        with pytest.raises(SourceRejected) as refused:
            self.drain(source, follower)
        assert refused.value.facts["case"] == "vanished"
        assert follower.rows["orders"] == before

    def test_rows_are_gone_wherever_the_run_that_finds_them_dies(self, harness: PolledHarness, source: Source) -> None:
        begun = self.filled(harness, source)
        harness.commit(*(delete("orders", number) for number in (2, 3, 40)))
        for survived_count in range(100):
            follower = begun.copied()
            has_ended = self.die_after(harness, follower, survived_count)
            later = harness.source()
            self.drain(later, follower, limits=self.SMALL)
            later.close()
            assert follower.rows["orders"] == harness.rows("orders")
            if has_ended:
                break


class PolledMisfitsConformance(PolledConformance):
    """The suite of a source with values that a column's type cannot hold: told, never changed, never in the way."""

    @pytest.fixture
    @abstractmethod
    def harness(self) -> MisfitsHarness:
        """A fresh system."""

    def test_a_value_that_does_not_fit_is_told_with_its_row_until_it_is_mended(
        self, harness: MisfitsHarness, source: Source
    ) -> None:
        follower = self.filled(harness, source)
        told = {(7, *harness.spoil(7))}
        self.drain(source, follower, limits=self.SMALL)
        later = harness.source()
        copied = self.begin(harness, later)
        later.close()
        for seen in (follower, copied):
            assert seen.misfits["orders"] == told
            assert set(seen.rows["orders"]) == set(range(1, 46))
        self.drain(source, follower)
        assert follower.misfits["orders"] == told

        harness.commit(update("orders", 7, "mended"))
        self.drain(source, follower)
        assert follower.misfits["orders"] == set()
        assert follower.rows["orders"] == harness.rows("orders")
