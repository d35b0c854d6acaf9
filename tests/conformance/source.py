"""What every source adapter has to keep, whatever system it speaks to: the promises of ``pipeline.ports.source``.

Subclass ``SourceConformance``, give it a ``harness`` fixture, and pytest runs the suite against the adapter.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import attrs
import pytest

from pipeline.domain.change import COMMIT_AT, OLD_KEY, OP, SEQUENCE, ChangeBatch, GroupBatch, Operation, change_schema
from pipeline.domain.checkpoint import Checkpoint
from pipeline.domain.errors import LogLost, SourceRejected
from pipeline.domain.position import PHASE_LOG, PHASE_SNAPSHOT, Position, Sequence
from pipeline.domain.stream import BatchLimits, StreamSpec
from pipeline.ports.source import LogReader, LogStatus, Snapshot, Source

Change = tuple[str, Operation, dict[str, Any]]

#: How long a source may take to deliver what is committed.
PATIENCE_S = 20.0
EPOCH = 7


class SourceHarness(ABC):
    """A system under test with two empty tables, ``orders`` and ``items``, each ``(id integer key, note text)``."""

    @property
    @abstractmethod
    def specs(self) -> dict[str, StreamSpec]:
        """The streams ``orders`` and ``items``."""

    @abstractmethod
    def source(self) -> Source:
        """A new source over the system; one that waits for another reader waits no longer than two seconds."""

    @abstractmethod
    def commit(self, *changes: Change) -> None:
        """Commit one transaction at the system: inserts and updates give whole rows, deletes the key."""

    @abstractmethod
    def rows(self, stream: str) -> dict[int, dict[str, Any]]:
        """The table as it is now, by id."""

    @abstractmethod
    def lose_log(self) -> None:
        """Throw away what the system keeps for the pipeline, behind its back."""

    @abstractmethod
    def confirmed(self) -> Position:
        """Up to where the system was told to forget."""

    @abstractmethod
    def settle(self) -> None:
        """Wait until acknowledgements that are on their way have arrived."""


def insert(stream: str, number: int, note: str = "") -> Change:
    """An insert of a row."""
    return stream, Operation.INSERT, {"id": number, "note": note}


@attrs.define
class Follower:
    """Applies snapshot and batches naively, checking what must hold of every one of them."""

    streams: dict[str, tuple[StreamSpec, Position]]
    position: Position
    rows: dict[str, dict[int, dict[str, Any]]]
    sequences: dict[str, list[int]] = attrs.field(factory=dict)
    batches: list[list[tuple[str, str, int]]] = attrs.field(factory=list)
    covered: dict[str, int] = attrs.field(factory=dict)

    @property
    def checkpoint(self) -> Checkpoint:
        """The checkpoint of what was applied."""
        return Checkpoint("shop", self.position, load=0, epoch=EPOCH, at=datetime(2026, 1, 1, tzinfo=UTC))

    def take(self, batch: GroupBatch) -> None:
        """Apply a batch of the log."""
        assert batch.after == self.position
        assert batch.up_to.covers(batch.after)
        pieces = list(batch.pieces)
        assert {piece.stream for piece in pieces} == set(batch.schemas)
        assert sum(piece.row_count for piece in pieces) == batch.row_count
        seen = []
        for piece in pieces:
            assert piece.schema in batch.schemas[piece.stream]
            for row in self._in_order(piece, PHASE_LOG):
                seen.append((piece.stream, Operation(row[OP]).label, row["id"]))
                self._apply(piece.stream, row)
        for stream, count in batch.covered_counts.items():
            self.covered[stream] = self.covered.get(stream, 0) + count
        self.position = batch.up_to
        if seen:
            assert batch.transaction_count > 0
            assert batch.first_commit_at is not None
            self.batches.append(seen)

    def copy(self, snapshot: Snapshot, stream: str) -> None:
        """Take the rows of a snapshot."""
        for piece in snapshot.read(stream):
            assert piece.schema == snapshot.schemas[stream]
            assert piece.row_count > 0
            for row in self._in_order(piece, PHASE_SNAPSHOT):
                assert row[OP] == Operation.SNAPSHOT
                self._apply(stream, row)

    def _in_order(self, piece: ChangeBatch, phase: int) -> list[dict[str, Any]]:
        assert piece.table.schema == change_schema(piece.schema)
        rows: list[dict[str, Any]] = piece.table.to_pylist()
        known = self.sequences.setdefault(piece.stream, [])
        for row in rows:
            packed = int(row[SEQUENCE])
            sequence = Sequence.unpack(packed)
            assert (sequence.epoch, sequence.phase) == (EPOCH, phase)
            assert not known or packed > known[-1]
            assert row[COMMIT_AT] is not None
            known.append(packed)
        return rows

    def _apply(self, stream: str, row: dict[str, Any]) -> None:
        rows = self.rows[stream]
        if row[OLD_KEY] is not None:
            rows.pop(row[OLD_KEY]["id"], None)
        if row[OP] == Operation.DELETE:
            rows.pop(row["id"], None)
        else:
            rows[row["id"]] = {"id": row["id"], "note": row["note"]}


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
        """Begin and copy both streams."""
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
        """Follow the log to its end of now."""
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
        return source.read(follower.checkpoint, follower.streams, limits=limits or BatchLimits(), up_to=up_to)

    def test_nothing_is_kept_before_it_begins(self, harness: SourceHarness, source: Source) -> None:
        assert source.log().status is LogStatus.MISSING
        source.forget()

    def test_snapshot_and_log_give_the_tables(self, harness: SourceHarness, source: Source) -> None:
        harness.commit(*(insert("orders", number, "before") for number in range(1, 11)))
        follower = self.begin(harness, source)
        assert follower.rows == {"orders": harness.rows("orders"), "items": {}}

        harness.commit(insert("orders", 11, "after"), insert("items", 1))
        harness.commit(("orders", Operation.UPDATE, {"id": 1, "note": "changed"}))
        harness.commit(("orders", Operation.DELETE, {"id": 2}))
        self.drain(source, follower)

        assert follower.rows == {"orders": harness.rows("orders"), "items": harness.rows("items")}
        assert len(follower.rows["orders"]) == 10

    def test_the_snapshot_does_not_see_what_is_committed_after_it(self, harness: SourceHarness, source: Source) -> None:
        harness.commit(insert("orders", 1))
        specs = tuple(harness.specs.values())
        source.prepare(specs)
        with source.begin(specs, epoch=EPOCH) as snapshot:
            harness.commit(insert("orders", 2))
            found = [row for piece in snapshot.read("orders") for row in piece.table.to_pylist()]
        assert [row["id"] for row in found] == [1]

    def test_no_batch_holds_half_of_a_transaction(self, harness: SourceHarness, source: Source) -> None:
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

    def test_reading_ends_at_exactly_the_position_asked_for(self, harness: SourceHarness, source: Source) -> None:
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

    def test_the_position_moves_when_there_is_nothing_to_read(self, harness: SourceHarness, source: Source) -> None:
        follower = self.begin(harness, source)
        assert self.drain(source, follower) == follower.position
        assert follower.batches == []
        self.drain(source, follower)

    def test_what_is_not_acknowledged_comes_again_the_same(self, harness: SourceHarness, source: Source) -> None:
        follower = self.begin(harness, source)
        harness.commit(insert("orders", 1), insert("items", 1))
        harness.commit(("orders", Operation.UPDATE, {"id": 1, "note": "x"}))
        again = attrs.evolve(
            follower, rows={"orders": {}, "items": {}}, sequences={}, batches=[], covered={}, streams=follower.streams
        )
        before = harness.confirmed()
        self.drain(source, follower, acknowledges=False)
        harness.settle()
        assert harness.confirmed() == before
        self.drain(source, again)

        assert again.sequences["orders"] == follower.sequences["orders"][-2:]
        assert again.rows == {"orders": harness.rows("orders"), "items": harness.rows("items")}

    def test_what_is_acknowledged_may_be_forgotten_and_no_more(self, harness: SourceHarness, source: Source) -> None:
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
        self, harness: SourceHarness, source: Source
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

    def test_nothing_comes_when_nothing_happens(self, harness: SourceHarness, source: Source) -> None:
        follower = self.begin(harness, source)
        with self.open(source, follower) as reader:
            for _ in range(3):
                batch = reader.next(0.05)
                assert batch is None or batch.is_empty

    def test_a_lost_log_is_told(self, harness: SourceHarness, source: Source) -> None:
        follower = self.begin(harness, source)
        harness.lose_log()

        with pytest.raises(LogLost) as lost:
            source.check(follower.checkpoint)
        assert lost.value.facts["case"] == "missing"
        with pytest.raises(LogLost):
            self.open(source, follower)

    def test_beginning_twice_is_refused_until_forgotten(self, harness: SourceHarness, source: Source) -> None:
        follower = self.begin(harness, source)
        assert source.check(follower.checkpoint).status is LogStatus.READY
        with pytest.raises(SourceRejected):
            source.begin(tuple(harness.specs.values()), epoch=EPOCH)

        source.forget()
        assert source.log().status is LogStatus.MISSING
        self.begin(harness, source)

    def test_only_one_reader_gets_in(self, harness: SourceHarness, source: Source) -> None:
        follower = self.begin(harness, source)
        other = harness.source()
        with self.open(source, follower), pytest.raises(SourceRejected):
            self.open(other, follower)
        with self.open(other, follower):
            assert other.log().status is LogStatus.ACTIVE
        other.close()

    def test_discovery_and_schemas_agree(self, harness: SourceHarness, source: Source) -> None:
        specs = harness.specs
        relations: Mapping[str, Any] = {relation.name: relation for relation in source.discover()}
        schemas = source.schemas(tuple(specs.values()))

        assert set(schemas) == {"orders", "items"}
        for name, spec in specs.items():
            assert relations[spec.relation].schema == schemas[name]
            assert relations[spec.relation].reason is None
            assert schemas[name].key == ("id",)
            assert schemas[name].names == ("id", "note")

    def test_a_stream_that_does_not_exist_is_refused_by_name(self, harness: SourceHarness, source: Source) -> None:
        missing = attrs.evolve(harness.specs["orders"], name="missing", relation="public.missing")
        with pytest.raises(SourceRejected, match="missing"):
            source.schemas([missing])
        with pytest.raises(SourceRejected, match="missing"):
            source.prepare([missing])
