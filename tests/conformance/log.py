"""What a source with a log owes beside what every source does: transactions, acknowledgements, and a log that is kept.

Subclass ``LogConformance``, give it a ``harness`` fixture, and pytest runs both suites against the adapter.
"""

from __future__ import annotations

from abc import abstractmethod

import pytest

from pipeline.domain.errors import LogLost, SourceRejected
from pipeline.domain.position import Position
from pipeline.domain.stream import BatchLimits
from pipeline.ports.source import LogStatus, Source
from tests.conformance.following import EPOCH
from tests.conformance.source import PATIENCE_S, SourceConformance, SourceHarness, delete, insert, update


class LogHarness(SourceHarness):
    """A system with a second empty table, ``items``, as ``orders`` is. Its sources wait no longer than two seconds for
    another reader.
    """

    @abstractmethod
    def lose_log(self) -> None:
        """Throw away what the system keeps for the pipeline, behind its back."""

    @abstractmethod
    def confirmed(self) -> Position:
        """Up to where the system was told to forget."""

    @abstractmethod
    def settle(self) -> None:
        """Wait until acknowledgements that are on their way have arrived."""


class LogConformance(SourceConformance):
    """The suite."""

    @pytest.fixture
    @abstractmethod
    def harness(self) -> LogHarness:
        """A fresh system."""

    def test_nothing_is_kept_before_it_begins(self, harness: LogHarness, source: Source) -> None:
        assert source.log().status is LogStatus.MISSING
        source.forget()

    def test_snapshot_and_log_give_the_tables(self, harness: LogHarness, source: Source) -> None:
        harness.commit(*(insert("orders", number, "before") for number in range(1, 11)))
        follower = self.begin(harness, source)
        assert follower.rows == {"orders": harness.rows("orders"), "items": {}}

        harness.commit(insert("orders", 11, "after"), insert("items", 1))
        harness.commit(update("orders", 1, "changed"))
        harness.commit(delete("orders", 2))
        self.drain(source, follower)

        assert follower.rows == {"orders": harness.rows("orders"), "items": harness.rows("items")}
        assert len(follower.rows["orders"]) == 10

    def test_the_snapshot_does_not_see_what_is_committed_after_it(self, harness: LogHarness, source: Source) -> None:
        harness.commit(insert("orders", 1))
        specs = tuple(harness.specs.values())
        source.prepare(specs)
        with source.begin(specs, epoch=EPOCH) as snapshot:
            harness.commit(insert("orders", 2))
            found = [row for piece in snapshot.read("orders") for row in piece.table.to_pylist()]
        assert [row["id"] for row in found] == [1]

    def test_no_batch_holds_half_of_a_transaction(self, harness: LogHarness, source: Source) -> None:
        follower = self.begin(harness, source)
        for number in range(8):
            harness.commit(insert("orders", number), insert("items", number), insert("items", 100 + number))
        self.drain(source, follower, limits=BatchLimits(rows=2))

        assert len(follower.batches) >= 1
        for batch in follower.batches:
            orders = {number for stream, _, number in batch if stream == "orders"}
            items = {number for stream, _, number in batch if stream == "items"}
            assert items == orders | {100 + number for number in orders}
        assert sum(len(batch) for batch in follower.batches) == 24

    def test_reading_ends_before_what_was_committed_after_the_position_asked_for(
        self, harness: LogHarness, source: Source
    ) -> None:
        follower = self.begin(harness, source)
        harness.commit(insert("orders", 1))
        end = source.mark()
        harness.commit(insert("orders", 2))
        with self.open(source, follower, up_to=end) as reader:
            while follower.position != end:
                batch = reader.next(PATIENCE_S)
                assert batch is not None
                follower.take(batch)
            assert reader.next(0) is None
        assert set(follower.rows["orders"]) == {1}

        self.drain(source, follower)
        assert set(follower.rows["orders"]) == {1, 2}

    def test_what_is_not_acknowledged_comes_again_the_same(self, harness: LogHarness, source: Source) -> None:
        follower = self.begin(harness, source)
        harness.commit(insert("orders", 1), insert("items", 1))
        harness.commit(update("orders", 1, "x"))
        again = follower.copied()
        before = harness.confirmed()
        self.drain(source, follower, acknowledges=False)
        harness.settle()
        assert harness.confirmed() == before
        self.drain(source, again)

        assert again.sequences["orders"] == follower.sequences["orders"][-2:]
        assert again.rows == {"orders": harness.rows("orders"), "items": harness.rows("items")}

    def test_what_is_acknowledged_may_be_forgotten_and_no_more(self, harness: LogHarness, source: Source) -> None:
        follower = self.begin(harness, source)
        harness.commit(insert("orders", 1))
        with self.open(source, follower) as reader:
            while not follower.batches:
                batch = reader.next(PATIENCE_S)
                assert batch is not None
                follower.take(batch)
            acknowledged = follower.position
            reader.acknowledge(acknowledged)
            harness.commit(insert("orders", 2))
            while len(follower.batches) < 2:
                batch = reader.next(PATIENCE_S)
                assert batch is not None
                follower.take(batch)
        harness.settle()

        assert harness.confirmed() == acknowledged
        assert source.log().confirmed == acknowledged

    def test_changes_before_a_streams_own_snapshot_are_counted_as_covered(
        self, harness: LogHarness, source: Source
    ) -> None:
        follower = self.begin(harness, source)
        harness.commit(insert("items", 1), insert("orders", 1))
        with source.snapshot([harness.specs["items"]], epoch=EPOCH) as snapshot:
            harness.commit(insert("items", 2))
            # Copied again, into an empty table.
            follower.sequences.pop("items", None)
            follower.copy(snapshot, "items")
            follower.streams["items"] = (harness.specs["items"], snapshot.position)
        self.drain(source, follower)

        assert follower.covered == {"items": 1}
        assert follower.rows == {"orders": harness.rows("orders"), "items": harness.rows("items")}

    def test_a_lost_log_is_told(self, harness: LogHarness, source: Source) -> None:
        follower = self.begin(harness, source)
        harness.lose_log()

        with pytest.raises(LogLost) as lost:
            source.check(follower.checkpoint)
        assert lost.value.facts["case"] == "missing"
        with pytest.raises(LogLost):
            self.open(source, follower)

    def test_beginning_twice_is_refused_until_forgotten(self, harness: LogHarness, source: Source) -> None:
        follower = self.begin(harness, source)
        assert source.check(follower.checkpoint).status is LogStatus.READY
        with pytest.raises(SourceRejected):
            source.begin(tuple(harness.specs.values()), epoch=EPOCH)

        source.forget()
        assert source.log().status is LogStatus.MISSING
        self.begin(harness, source)

    def test_only_one_reader_gets_in(self, harness: LogHarness, source: Source) -> None:
        follower = self.begin(harness, source)
        other = harness.source()
        with self.open(source, follower), pytest.raises(SourceRejected):
            self.open(other, follower)
        with self.open(other, follower):
            assert other.log().status is LogStatus.ACTIVE
        other.close()
