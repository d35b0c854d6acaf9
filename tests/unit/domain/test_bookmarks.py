"""Bookmarks move, are forgotten, and are told last."""

import pyarrow as pa

from pipeline.domain.bookmarks import BOOKMARK_SCHEMA, NO_BOOKMARKS, bookmarks, latest, moved, plain_bookmarks


def test_bookmarks_move_are_added_and_are_forgotten() -> None:
    kept = bookmarks({"a": "1", "b": "2", "c": "3"})
    after = moved(kept, bookmarks({"a": None, "b": "20", "d": "4", "e": None}))
    assert plain_bookmarks(after) == {"b": "20", "c": "3", "d": "4"}
    assert after.schema == BOOKMARK_SCHEMA


def test_nothing_moves_nothing() -> None:
    kept = bookmarks({"a": "1"})
    assert moved(kept, NO_BOOKMARKS).equals(kept)
    assert moved(NO_BOOKMARKS, kept).equals(kept)
    assert plain_bookmarks(NO_BOOKMARKS) == {}


def test_bookmarks_in_many_pieces_are_one_table() -> None:
    kept = pa.concat_tables([bookmarks({str(number): "x"}) for number in range(4)])
    changes = pa.concat_tables([bookmarks({"1": None}), bookmarks({"2": "y"})])
    assert plain_bookmarks(moved(kept, changes)) == {"0": "x", "3": "x", "2": "y"}


def test_of_what_was_told_more_than_once_the_last_counts() -> None:
    told = [bookmarks({"a": "1", "b": "2"}), NO_BOOKMARKS, bookmarks({"b": None, "c": "3"}), bookmarks({"a": "4"})]
    assert latest(told).to_pylist() == [
        {"name": "b", "value": None},
        {"name": "c", "value": "3"},
        {"name": "a", "value": "4"},
    ]
    assert latest(told[:1]).equals(told[0])
