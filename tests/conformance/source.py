"""What every source adapter has to keep, whatever system it speaks to: the promises of ``pipeline.ports.source``.

An adapter subclasses the suite of its kind, ``LogConformance`` (``log``) or ``PolledConformance`` (``polled``), which
has this one in it, gives it a ``harness`` fixture, and pytest runs all of it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

import attrs
import pytest

from pipeline.domain.change import Operation
from pipeline.domain.errors import SourceRejected
from pipeline.domain.position import Position
from pipeline.domain.stream import BatchLimits, StreamSpec
from pipeline.ports.source import LogReader, Source
from tests.conformance.following import EPOCH, Follower

Change = tuple[str, Operation, dict[str, Any]]

#: How long a source may take to deliver what is there.
PATIENCE_S = 60.0


class SourceHarness(ABC):
    """A system under test with an empty table, ``orders``: ``(id integer key, note text)``, and what else it needs."""

    @property
    @abstractmethod
    def specs(self) -> dict[str, StreamSpec]:
        """The streams of one group, ``orders`` among them, by name."""

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of each stream."""
        return ("id", "note")

    @abstractmethod
    def source(self) -> Source:
        """A new source over the system."""

    @abstractmethod
    def commit(self, *changes: Change) -> None:
        """Write at the system, in one transaction where it has any: inserts and updates give whole rows, deletes the
        key.
        """

    @abstractmethod
    def rows(self, stream: str) -> dict[int, dict[str, Any]]:
        """The table as it is now, by id: what the warehouse has to hold of it."""


def insert(stream: str, number: int, note: str = "") -> Change:
    """An insert of a row."""
    return stream, Operation.INSERT, {"id": number, "note": note}


def update(stream: str, number: int, note: str) -> Change:
    """A row written anew."""
    return stream, Operation.UPDATE, {"id": number, "note": note}


def delete(stream: str, number: int) -> Change:
    """A delete of a row."""
    return stream, Operation.DELETE, {"id": number}


class SourceConformance(ABC):
    """The suite. ``harness`` is a fixture of the subclass."""

    @pytest.fixture
    @abstractmethod
    def harness(self) -> SourceHarness:
        """A fresh system."""

    @pytest.fixture
    def source(self, harness: SourceHarness) -> Any:
        source = harness.source()
        yield source
        source.close()
        source.close()

    def begin(self, harness: SourceHarness, source: Source) -> Follower:
        """Begin and copy all streams."""
        specs = tuple(harness.specs.values())
        source.prepare(specs)
        source.prepare(specs)
        with source.begin(specs, epoch=EPOCH) as snapshot:
            streams = {name: (spec, snapshot.position) for name, spec in harness.specs.items()}
            follower = Follower(streams, snapshot.position, {name: {} for name in streams})
            for name in streams:
                follower.copy(snapshot, name)
        return follower

    def drain(
        self, source: Source, follower: Follower, *, limits: BatchLimits | None = None, acknowledges: bool = True
    ) -> Position:
        """Follow the source to what it has now."""
        end = source.mark()
        with self.open(source, follower, limits=limits, up_to=end) as reader:
            while follower.position != end:
                batch = reader.next(PATIENCE_S)
                assert batch is not None, "the source fell silent before the position it was asked for"
                follower.take(batch)
                if acknowledges:
                    reader.acknowledge(batch.up_to)
            assert reader.next(0) is None
        return end

    def open(
        self, source: Source, follower: Follower, *, limits: BatchLimits | None = None, up_to: Position | None = None
    ) -> LogReader:
        """A reader from where the follower is."""
        return source.read(
            follower.checkpoint,
            follower.streams,
            limits=limits or BatchLimits(),
            up_to=up_to,
            bookmarks=follower.bookmarks_of,
        )

    def test_snapshot_and_what_follows_give_the_rows(self, harness: SourceHarness, source: Source) -> None:
        harness.commit(*(insert("orders", number, "before") for number in range(1, 11)))
        follower = self.begin(harness, source)
        assert follower.rows["orders"] == harness.rows("orders")

        harness.commit(insert("orders", 11, "after"))
        harness.commit(update("orders", 1, "changed"))
        harness.commit(insert("orders", 12, "after"), update("orders", 11, "after all"))
        self.drain(source, follower)

        assert follower.rows["orders"] == harness.rows("orders")
        assert len(follower.rows["orders"]) == 12

    def test_an_empty_stream_is_copied_as_well_and_filled_later(self, harness: SourceHarness, source: Source) -> None:
        follower = self.begin(harness, source)
        assert follower.rows["orders"] == {}
        harness.commit(insert("orders", 1, "first"))
        self.drain(source, follower)
        assert follower.rows["orders"] == harness.rows("orders") != {}

    def test_reading_ends_at_exactly_the_position_asked_for(self, harness: SourceHarness, source: Source) -> None:
        follower = self.begin(harness, source)
        harness.commit(insert("orders", 1))
        end = self.drain(source, follower)
        assert follower.position == end
        assert set(follower.rows["orders"]) == {1}

    def test_the_position_moves_when_there_is_nothing_to_read(self, harness: SourceHarness, source: Source) -> None:
        harness.commit(insert("orders", 1))
        follower = self.begin(harness, source)
        bookmarks = dict(follower.bookmarks)
        before = follower.position
        assert self.drain(source, follower) == follower.position
        assert follower.position.covers(before)
        assert follower.batches == []
        assert follower.bookmarks == bookmarks
        self.drain(source, follower)

    def test_nothing_comes_when_nothing_happens(self, harness: SourceHarness, source: Source) -> None:
        harness.commit(insert("orders", 1))
        follower = self.begin(harness, source)
        with self.open(source, follower) as reader:
            for _ in range(3):
                batch = reader.next(0.05)
                assert batch is None or batch.is_empty

    def test_what_was_not_loaded_comes_again(self, harness: SourceHarness, source: Source) -> None:
        follower = self.begin(harness, source)
        harness.commit(insert("orders", 1, "a"), insert("orders", 2, "b"))
        harness.commit(update("orders", 1, "x"))
        lost, again = follower.copied(), follower.copied()
        self.drain(source, lost, acknowledges=False)
        source.close()
        later = harness.source()
        self.drain(later, again)
        later.close()

        assert lost.rows["orders"] == again.rows["orders"] == harness.rows("orders")
        assert lost.batches == again.batches

    def test_discovery_and_schemas_agree(self, harness: SourceHarness, source: Source) -> None:
        harness.commit(insert("orders", 1))  # what has no schema of its own shows it by its rows
        specs = harness.specs
        relations: Mapping[str, Any] = {relation.name: relation for relation in source.discover()}
        schemas = source.schemas(tuple(specs.values()))

        assert set(schemas) == set(specs)
        assert list(relations) == sorted(relations)
        for name, spec in specs.items():
            assert relations[spec.relation].schema == schemas[name]
            assert relations[spec.relation].reason is None
            assert schemas[name].key == ("id",)
            assert schemas[name].names == harness.columns

    def test_a_preview_shows_the_first_rows_and_leaves_no_trace(self, harness: SourceHarness, source: Source) -> None:
        harness.commit(*(insert("orders", number, "before") for number in range(1, 6)))
        shown = source.preview(harness.specs["orders"], limit=3)
        assert shown.schema == source.schemas([harness.specs["orders"]])["orders"].arrow()
        assert shown.num_rows == 3
        held = harness.rows("orders")
        assert all(held[row["id"]] == row for row in shown.to_pylist())
        self.begin(harness, source)

    def test_a_stream_that_does_not_exist_is_refused_by_name(self, harness: SourceHarness, source: Source) -> None:
        missing = attrs.evolve(harness.specs["orders"], name="missing", relation="public.missing")
        with pytest.raises(SourceRejected, match="missing"):
            source.schemas([missing])
        with pytest.raises(SourceRejected, match="missing"):
            source.prepare([missing])
