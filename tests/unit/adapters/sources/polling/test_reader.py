"""How looks become batches: small ones, one that is whole, none while a look takes long."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest

from adapters.sources.polling import positions
from adapters.sources.polling.extractor import Extraction
from adapters.sources.polling.source import PollSource
from pipeline.domain.change import GroupBatch, Operation
from pipeline.domain.errors import SourceError
from pipeline.domain.stream import BatchLimits
from pipeline.ports.source import LogReader
from tests.conformance.following import EPOCH, Follower
from tests.support import shelf
from tests.support.shelf import SPEC, Shelf, ShelfExtractor

How = Callable[[ShelfExtractor, Mapping[str, str]], Extraction]


def followed(how: How, held: Shelf) -> tuple[PollSource, Follower]:
    """A source that was copied."""
    source = PollSource(ShelfExtractor(held, how))
    with source.begin([SPEC], epoch=EPOCH) as snapshot:
        follower = Follower({"orders": (SPEC, snapshot.position)}, snapshot.position, {"orders": {}})
        follower.copy(snapshot, "orders")
    return source, follower


def read(source: PollSource, follower: Follower, **limits: Any) -> LogReader:
    """A reader up to now."""
    up_to = source.mark()
    return source.read(
        follower.checkpoint,
        follower.streams,
        limits=BatchLimits(**limits),
        up_to=up_to,
        bookmarks=follower.bookmarks_of,
    )


def batches(source: PollSource, follower: Follower, **limits: Any) -> list[GroupBatch]:
    """All batches up to now, applied."""
    taken = []
    with read(source, follower, **limits) as reader:
        while (batch := reader.next(5.0)) is not None:
            follower.take(batch)
            taken.append(batch)
    return taken


def five(*, note: str = "") -> Shelf:
    held = Shelf()
    held.put(*({"id": number, "note": note} for number in range(1, 6)))
    return held


@pytest.mark.parametrize("spill_bytes", [0, 300, 10**9])
def test_a_replacement_is_one_batch_however_large_it_is(spill_bytes: int) -> None:
    held = five()
    source, follower = followed(shelf.replacement, held)
    held.put({"id": 1, "note": "changed", "size": "no number"})
    [batch] = batches(source, follower, rows=1, spill_bytes=spill_bytes)
    assert batch.row_count == 6
    assert [piece.row_count for piece in batch.pieces] == [1, 2, 2, 1]
    assert [piece.row_count for piece in list(batch.pieces)[1:3]] == [2, 2]
    assert set(follower.rows["orders"]) == {1, 2, 3, 4, 5}
    assert follower.misfits == {"orders": {(1, "size", "no number")}}


def test_a_replacement_that_holds_nothing_empties_the_table_and_a_known_one_is_no_load() -> None:
    held = five()
    source, follower = followed(shelf.replacement, held)
    assert [batch.is_empty for batch in batches(source, follower)] == [True]
    held.rows.clear()
    [batch] = batches(source, follower)
    assert [piece.table["_cdc_op"].to_pylist() for piece in batch.pieces] == [[Operation.TRUNCATE]]
    assert follower.rows["orders"] == {}
    assert [batch.is_empty for batch in batches(source, follower)] == [True]


def test_pages_that_move_once_are_read_again() -> None:
    held = five()
    source, follower = followed(shelf.image, held)

    def put_before(_: int) -> None:
        held.between = lambda _: None
        held.rows.insert(0, {"id": 0, "note": "first", "size": 0, "at": 9})

    held.between = put_before
    batches(source, follower)
    assert set(follower.rows["orders"]) == {0, 1, 2, 3, 4, 5}
    assert held.reading_count == 3


def test_pages_that_never_stand_still_are_an_error() -> None:
    held = five()
    source, follower = followed(shelf.image, held)
    held.rows.append(held.rows[0])
    with pytest.raises(SourceError, match="source shelf, stream orders: a key was shown twice"):
        batches(source, follower)
    assert held.reading_count == 4
    assert set(follower.rows["orders"]) == {1, 2, 3, 4, 5}


def test_nothing_is_said_in_the_middle_of_a_look_and_leaving_ends_the_reading() -> None:
    held, ended = five(), []

    def how(extractor: ShelfExtractor, bookmarks: Mapping[str, str]) -> Extraction:
        extraction = shelf.image(extractor, bookmarks)

        def rows() -> Iterator[Any]:
            try:
                yield from extraction.rows
            finally:
                ended.append(True)

        return Extraction(extraction.kind, rows())

    source, follower = followed(how, held)
    ended.clear()
    with read(source, follower) as reader:
        assert [reader.next(0.0) for _ in range(3)] == [None, None, None]
        assert held.reading_count == 2
    assert ended == [True]


def test_between_two_looks_there_is_rest() -> None:
    held = five()
    source = PollSource(ShelfExtractor(held, shelf.image, poll_s=60.0))
    _, follower = followed(shelf.image, held)
    with source.read(follower.checkpoint, follower.streams, limits=BatchLimits()) as reader:
        batch = reader.next(5.0)
        assert batch is not None
        count, began = held.reading_count, time.monotonic()
        assert reader.next(0.02) is None
        assert 0.02 <= time.monotonic() - began < 30.0
        assert held.reading_count == count


def test_more_batches_than_instants_are_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    held = five()
    source, follower = followed(shelf.image, held)
    monkeypatch.setattr(positions, "_LEAST_APART", 2)
    monkeypatch.setattr(positions, "_now", lambda: 0)
    held.put(*({"id": number, "note": "changed"} for number in range(1, 6)))
    with pytest.raises(SourceError, match=r"more batches than fit.*stream orders|stream orders: one look has more"):
        batches(source, follower, rows=1)


def test_no_change_was_committed_in_the_future(monkeypatch: pytest.MonkeyPatch) -> None:
    held = five()
    source, follower = followed(shelf.image, held)
    behind = positions._now() - 3_600_000_000
    monkeypatch.setattr(positions, "_now", lambda: behind)
    held.put({"id": 1, "note": "changed"})
    [batch] = batches(source, follower)
    [piece] = batch.pieces
    assert batch.first_commit_at == batch.last_commit_at == behind / 1e6
    assert piece.table["_cdc_commit_at"].cast("int64").to_pylist() == [behind]
