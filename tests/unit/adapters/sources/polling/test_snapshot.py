"""A copy of a source without a log: rows that are there, and what looks have to know of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import attrs
import pyarrow as pa
import pytest

from adapters.sources.polling.extractor import Extraction
from adapters.sources.polling.source import PollSource
from pipeline.domain.change import OP, Operation
from pipeline.domain.errors import SourceError
from tests.support import shelf
from tests.support.shelf import SPEC, WITH_AT, Shelf, ShelfExtractor


def with_gone(extractor: ShelfExtractor, bookmarks: Mapping[str, str]) -> Extraction:
    """A window that also tells row 9 to be gone."""
    extraction = shelf.window(extractor, bookmarks)

    def rows() -> Iterator[Any]:
        for piece in extraction.rows:
            yield attrs.evolve(piece, deleted=pa.table({"id": pa.array([9]), "at": pa.array([1])}))

    return attrs.evolve(extraction, rows=rows())


def test_what_is_gone_is_no_row_of_a_copy() -> None:
    held = Shelf()
    held.put({"id": 1, "note": "a"})
    source = PollSource(ShelfExtractor(held, with_gone, schema_now=WITH_AT))
    with source.begin([SPEC], epoch=0) as snapshot:
        tables = [piece.table for piece in snapshot.read("orders")]
    assert [(row["id"], row[OP]) for table in tables for row in table.to_pylist()] == [(1, Operation.SNAPSHOT)]


def test_a_copy_may_be_read_again_and_leaves_the_same_bookmarks() -> None:
    held = Shelf()
    held.put(*({"id": number, "note": "a"} for number in range(5)))
    source = PollSource(ShelfExtractor(held, shelf.image))
    with source.begin([SPEC], epoch=0) as snapshot:
        first = [piece.table.to_pylist() for piece in snapshot.read("orders")]
        kept = snapshot.bookmarks("orders")
        assert [piece.table.to_pylist() for piece in snapshot.read("orders")] == first
        assert snapshot.bookmarks("orders").equals(kept)
    assert sum(name.startswith("row:") for name in kept["name"].to_pylist()) == 5


def test_a_copy_that_shows_a_key_twice_is_none() -> None:
    held = Shelf()
    held.put({"id": 1, "note": "a"}, {"id": 2, "note": "b"})
    held.rows.append(held.rows[0])
    source = PollSource(ShelfExtractor(held, shelf.image))
    with source.begin([SPEC], epoch=0) as snapshot, pytest.raises(SourceError, match="shelf, stream orders: a key was"):
        list(snapshot.read("orders"))


def test_a_copy_lists_no_keys_since_nothing_can_be_gone() -> None:
    held = Shelf()
    held.put(*({"id": number, "note": "a"} for number in range(5)))

    def how(extractor: ShelfExtractor, bookmarks: Mapping[str, str]) -> Extraction:
        return attrs.evolve(shelf.window_and_keys(extractor, bookmarks), compared={"listed": "today"})

    source = PollSource(ShelfExtractor(held, how, schema_now=WITH_AT))
    with source.begin([SPEC], epoch=0) as snapshot:
        assert sum(piece.row_count for piece in snapshot.read("orders")) == 5
        kept = snapshot.bookmarks("orders")
    assert held.reading_count == 1
    assert {"name": "listed", "value": "today"} in kept.to_pylist()
    assert sum(name.startswith("row:") for name in kept["name"].to_pylist()) == 5
