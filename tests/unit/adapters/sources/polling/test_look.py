"""What a look makes of an extraction: what is told, what is remembered, and what is refused."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import attrs
import pyarrow as pa
import pytest

from adapters.sources.polling.extractor import Extraction, Kind, Window
from adapters.sources.polling.look import Piece, look
from adapters.sources.polling.memory import StreamMemory
from pipeline.domain.bookmarks import NO_BOOKMARKS
from pipeline.domain.change import Operation
from pipeline.domain.errors import PipelineError, SourceError, SourceRejected
from pipeline.domain.schema import StreamSchema
from tests.support import shelf
from tests.support.shelf import SCHEMA, SPEC, WITH_AT, Row, Shelf, ShelfExtractor

How = Callable[[ShelfExtractor, Mapping[str, str]], Extraction]
Told = list[tuple[str, int | None]]


@attrs.define
class Watcher:
    """Looks at a shelf again and again."""

    how: How
    schema: StreamSchema = SCHEMA
    held: Shelf = attrs.field(factory=Shelf)
    memory: StreamMemory = attrs.field(factory=lambda: StreamMemory.of(NO_BOOKMARKS))

    def pieces(self) -> list[Piece]:
        extractor = ShelfExtractor(self.held, self.how, schema_now=self.schema)
        return list(look(extractor, SPEC, self.schema, self.memory))

    def tells(self) -> Told:
        """Operations and ids."""
        return [
            (Operation(operation).label, row.get("id"))
            for piece in self.pieces()
            for operation, row in zip(piece.ops.tolist(), piece.rows.to_pylist(), strict=True)
        ]


def rows(*numbers: int | None, **values: Any) -> list[Row]:
    return [{"id": number, "note": "", **values} for number in numbers]


def test_a_value_that_was_a_misfit_and_is_a_null_now_has_changed() -> None:
    watcher = Watcher(shelf.image)
    watcher.held.put(*rows(1, size="many"), *rows(2))
    assert watcher.tells() == [("insert", 1), ("insert", 2)]
    assert watcher.tells() == []
    watcher.held.put(*rows(1, size="a few"))
    [piece] = [piece for piece in watcher.pieces() if piece.rows.num_rows]
    assert [(misfit.rows.to_pylist(), misfit.texts.to_pylist()) for misfit in piece.misfits] == [([0], ["a few"])]
    watcher.held.put(*rows(1, size=None))
    assert watcher.tells() == [("update", 1)]


def test_rows_whose_key_is_null_stop_no_other() -> None:
    watcher = Watcher(shelf.image)
    watcher.held.rows = [{**row, "size": 0, "at": 1} for row in [*rows(None, None, 1), *rows(None, note="other")]]
    assert watcher.tells() == [("insert", None), ("insert", None), ("insert", 1), ("insert", None)]
    assert watcher.tells() == []
    watcher.held.rows = watcher.held.rows[:3]  # a row that cannot be named cannot be deleted
    assert sum(piece.rows.num_rows for piece in watcher.pieces()) == 0


def test_a_key_that_is_shown_twice_means_that_rows_may_be_missing() -> None:
    watcher = Watcher(shelf.image)
    watcher.held.put(*rows(1, 2, 3, 4))
    watcher.tells()
    watcher.held.rows = [watcher.held.rows[number] for number in (0, 0, 1)]
    with pytest.raises(SourceError) as failed:
        watcher.tells()
    assert failed.value.facts["case"] == "repeated"
    assert len(watcher.memory.rows) == 4


def test_what_moving_pages_hide_is_looked_for_once_more() -> None:
    watcher = Watcher(shelf.shifting_image)
    watcher.held.put(*rows(1, 2, 3, 4, 5))
    watcher.tells()

    def take_away(_: int) -> None:
        watcher.held.between = lambda _: None
        watcher.held.remove(1)

    watcher.held.between = take_away  # so that 3 moves to the page that was read already
    before = watcher.held.reading_count
    assert watcher.tells() == []
    assert watcher.held.reading_count == before + 2
    assert watcher.tells() == [("delete", 1)]


def test_a_listing_of_keys_that_shows_one_twice_takes_none_for_gone() -> None:
    watcher = Watcher(shelf.window_and_keys, WITH_AT)
    watcher.held.put(*rows(1, 2, 3, 4))
    watcher.tells()
    held = watcher.held.rows

    def how(extractor: ShelfExtractor, bookmarks: Mapping[str, str]) -> Extraction:
        extraction = shelf.window_and_keys(extractor, bookmarks)

        def keys() -> Iterator[pa.Table]:
            watcher.held.rows = [held[0], held[0], held[1]]
            yield from extraction.all_keys() if extraction.all_keys else ()

        return attrs.evolve(extraction, all_keys=keys)

    watcher.how = how
    with pytest.raises(SourceError) as failed:
        watcher.tells()
    assert failed.value.facts["case"] == "repeated"
    assert len(watcher.memory.rows) == 4


def test_a_row_that_changed_and_was_gone_before_keys_were_listed_is_gone() -> None:
    watcher = Watcher(shelf.window_and_keys, WITH_AT)
    watcher.held.put(*rows(1, 2, 3))
    watcher.tells()
    watcher.held.put(*rows(2, note="changed"))

    def how(extractor: ShelfExtractor, bookmarks: Mapping[str, str]) -> Extraction:
        extraction = shelf.window_and_keys(extractor, bookmarks)

        def keys() -> Iterator[pa.Table]:
            watcher.held.remove(2)
            yield from extraction.all_keys() if extraction.all_keys else ()

        return attrs.evolve(extraction, all_keys=keys)

    watcher.how = how
    assert watcher.tells() == [("update", 2), ("delete", 2)]


def plain_with_deleted(extractor: ShelfExtractor, bookmarks: Mapping[str, str]) -> Extraction:
    """Changes of which the system tells those that are gone, and whose rows are remembered."""
    gone = pa.table({"id": pa.array([1], pa.int64())})

    def shown() -> Iterator[Any]:
        for piece in extractor.read(lambda: extractor.shelf.rows):
            yield attrs.evolve(piece, deleted=gone if not any(row["id"] == 1 for row in extractor.shelf.rows) else None)

    return Extraction(Kind.CHANGES, shown(), remembers=True)


def test_a_row_that_the_system_tells_to_be_gone_is_new_when_it_comes_back() -> None:
    watcher = Watcher(plain_with_deleted)
    watcher.held.put(*rows(1, 2))
    assert watcher.tells() == [("insert", 1), ("insert", 2)]
    kept = list(watcher.held.rows)
    watcher.held.remove(1)
    assert watcher.tells() == [("delete", 1)]
    watcher.held.rows = kept
    assert watcher.tells() == [("insert", 1)]


@pytest.mark.parametrize("how", [shelf.image, shelf.window_and_keys])
def test_rows_without_a_key_cannot_be_compared(how: How) -> None:
    watcher = Watcher(how, attrs.evolve(WITH_AT, key=()))
    with pytest.raises(SourceRejected) as refused:
        watcher.tells()
    assert refused.value.facts["case"] == "no_key"


@pytest.mark.parametrize("before", [shelf.window, shelf.plain_changes, shelf.replacement])
@pytest.mark.parametrize("after", [shelf.image, shelf.window_and_keys])
def test_what_is_gone_is_not_told_by_what_was_not_remembered(before: How, after: How) -> None:
    watcher = Watcher(before, WITH_AT)
    watcher.held.put(*rows(1, 2))
    watcher.tells()
    watcher.how = after
    with pytest.raises(SourceRejected) as refused:
        watcher.tells()
    assert refused.value.facts["case"] == "unknown_rows"


@pytest.mark.parametrize("after", [shelf.window, shelf.plain_changes, shelf.replacement])
def test_what_was_remembered_for_comparing_is_forgotten_where_nothing_is_compared(after: How) -> None:
    watcher = Watcher(shelf.image, WITH_AT)
    watcher.held.put(*rows(1))
    watcher.held.put(*rows(2))
    watcher.tells()
    watcher.how = after
    watcher.tells()
    assert len(watcher.memory.rows) == (1 if after is shelf.window else 0)


def test_another_cursor_is_refused() -> None:
    watcher = Watcher(shelf.window, WITH_AT)
    watcher.held.put(*rows(1))
    watcher.tells()
    watcher.how = lambda extractor, _: Extraction(Kind.CHANGES, iter(()), Window("id"))
    with pytest.raises(SourceRejected, match="the cursor was at and is now id"):
        watcher.tells()


def test_a_replacement_of_the_same_rows_is_known() -> None:
    watcher = Watcher(shelf.replacement)
    watcher.held.put(*rows(1, 2))
    assert not any(piece.is_known for piece in watcher.pieces())
    watcher.held.rows.reverse()
    assert any(piece.is_known for piece in watcher.pieces())
    watcher.held.put(*rows(2, note="changed"))
    assert not any(piece.is_known for piece in watcher.pieces())
    watcher.how = shelf.plain_changes
    watcher.tells()
    watcher.how = shelf.replacement
    assert not any(piece.is_known for piece in watcher.pieces())


def test_an_added_column_that_is_empty_changes_no_row_but_a_replacement() -> None:
    watcher = Watcher(shelf.image, SCHEMA)
    watcher.held.put(*rows(1))
    watcher.tells()
    watcher.held.rows[0]["more"] = None
    columns = (*SCHEMA.columns, attrs.evolve(SCHEMA.columns[1], name="more", source_name="more"))
    watcher.schema = StreamSchema(columns, key=("id",))
    assert watcher.tells() == []
    replaced = Watcher(shelf.replacement, SCHEMA, held=watcher.held)
    replaced.pieces()
    replaced.schema = watcher.schema
    assert not any(piece.is_known for piece in replaced.pieces())


def test_an_error_in_a_reading_is_no_end_of_it() -> None:
    watcher = Watcher(shelf.image)
    watcher.held.put(*rows(1, 2, 3))
    watcher.tells()
    watcher.held.remove(1)
    watcher.held.put(*rows(4, 5))
    watcher.held.fault = SourceError("no page")
    with pytest.raises(PipelineError, match="no page"):
        watcher.tells()
    watcher.held.fault = None
    watcher.memory.rows.settle()
    assert ("delete", 1) in watcher.tells()


def test_pages_that_show_a_key_twice_in_both_readings_take_none_for_gone() -> None:
    watcher = Watcher(shelf.shifting_image)
    watcher.held.put(*rows(1, 2, 3, 4, 5))
    watcher.tells()
    watcher.held.rows[2:4] = [watcher.held.rows[0]]
    with pytest.raises(SourceError, match="shown twice"):
        watcher.tells()
