"""Rows have the same fingerprint exactly if they are the same, and what changed is what a plain dictionary tells."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from pipeline.domain.bookmarks import NO_BOOKMARKS, moved
from pipeline.domain.detection import KnownRows
from pipeline.domain.fingerprint import fingerprints, halves_of, hexadecimal
from pipeline.domain.schema import Column, StreamSchema
from tests.support.arrow_values import KINDS, forms, frozen
from tests.support.profiles import examples

SCHEMA = StreamSchema((Column("id", pa.int64()), Column("note", pa.string())), key=("id",))


@st.composite
def tables(draw: st.DrawFn) -> tuple[list[tuple[Any, ...]], pa.Table, pa.Table]:
    """Rows, and two tables that hold them in different ways, their columns in different orders."""
    kinds = draw(st.lists(st.sampled_from(KINDS), min_size=1, max_size=4))
    count = draw(st.integers(0, 8))
    columns, first, second = [], {}, {}
    for number, (kind, values) in enumerate(kinds):
        items = draw(st.lists(st.none() | values, min_size=count, max_size=count))
        array = pa.array(items, kind)
        columns.append(array.to_pylist())
        first[f"c{number}"] = draw(st.sampled_from(forms(array)))(array)
        second[f"c{number}"] = draw(st.sampled_from(forms(array)))(array)
    order = draw(st.permutations(list(second)))
    rows = list(zip(*columns, strict=True)) if count else []
    return rows, pa.table(first), pa.table({name: second[name] for name in order})


@examples(150)
@given(tables())
def test_fingerprints_are_equal_exactly_where_rows_are(
    given_tables: tuple[list[tuple[Any, ...]], pa.Table, pa.Table],
) -> None:
    rows, first, second = given_tables
    prints = [tuple(pair) for pair in fingerprints(first).T.tolist()]
    assert prints == [tuple(pair) for pair in fingerprints(second).T.tolist()]
    values = [frozen(list(row)) for row in rows]
    assert [[left == right for left in prints] for right in prints] == [
        [left == right for left in values] for right in values
    ]


@examples(50)
@given(st.lists(st.tuples(st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 1)), max_size=6))
def test_fingerprints_are_written_and_read_back(pairs: list[tuple[int, int]]) -> None:
    halves = np.array(pairs, dtype=np.uint64).reshape(-1, 2).T
    text = hexadecimal(halves, prefix=b"row:")
    assert text.to_pylist() == [f"row:{left:016x}{right:016x}" for left, right in pairs]
    assert halves_of(text, skipped=4).tolist() == halves.tolist()


#: An image of a source: pieces of rows, a key not always once.
IMAGES = st.lists(
    st.lists(st.tuples(st.none() | st.integers(0, 4), st.sampled_from([None, "a", "b"])), max_size=5), max_size=4
)


@examples(200)
@given(st.lists(st.tuples(IMAGES, st.booleans(), st.booleans()), max_size=5))
def test_what_is_new_changed_and_gone_is_what_a_dictionary_tells(
    looks: list[tuple[list[list[tuple[int | None, str | None]]], bool, bool]],
) -> None:
    kept, model = NO_BOOKMARKS, Model()
    known = KnownRows(kept)
    for pieces, is_complete, restarts in looks:
        model.begin()
        for piece in pieces:
            table = pa.table([[key for key, _ in piece], [note for _, note in piece]], schema=SCHEMA.arrow())
            found = known.sift(table, SCHEMA)
            assert list(zip(found.new.tolist(), found.changed.tolist(), strict=True)) == model.sift(piece)
            kept = moved(kept, found.bookmarks)
        assert known.has_repeated == model.has_repeated
        if is_complete:
            assert (known.vanished_count, len(known)) == (len(model.vanished()), len(model.rows))
            keys, forgotten = known.vanish(SCHEMA)
            assert sorted(keys["id"].to_pylist()) == sorted(key[0] for key in model.vanish() if key[0] is not None)
            kept = moved(kept, forgotten)
        known.settle()
        # What is in memory is what the bookmarks tell, at every end of a look.
        assert ordered(known.bookmarks()) == ordered(kept)
        if restarts:
            known = KnownRows(kept)


class Model:
    """Rows by key; of rows whose key is null each is its own key."""

    def __init__(self) -> None:
        self.rows: dict[tuple[int | None, str | None], str | None] = {}

    def begin(self) -> None:
        self.before = set(self.rows)
        self.shown: list[tuple[int | None, str | None]] = []

    def sift(self, piece: list[tuple[int | None, str | None]]) -> list[tuple[bool, bool]]:
        """Whether each row is new or changed: of a key shown twice in a piece, whether any of its rows is."""
        names = [(key, None if key is not None else note) for key, note in piece]
        touched = {
            name
            for name, (_, note) in zip(names, piece, strict=True)
            if name in self.before and self.rows[name] != note
        }
        told = [(name not in self.before, name in touched) for name in names]
        self.rows.update({name: note for name, (_, note) in zip(names, piece, strict=True)})
        self.shown += names
        return told

    @property
    def has_repeated(self) -> bool:
        named = [name for name in self.shown if name[0] is not None]
        return len(named) > len(set(named))

    def vanished(self) -> set[tuple[int | None, str | None]]:
        return set(self.rows) - set(self.shown)

    def vanish(self) -> list[tuple[int | None, str | None]]:
        gone = self.vanished()
        for name in gone:
            del self.rows[name]
        return list(gone)


def ordered(bookmarks: pa.Table) -> list[tuple[str, str]]:
    """Bookmarks to compare whole."""
    return sorted(zip(bookmarks["name"].to_pylist(), bookmarks["value"].to_pylist(), strict=True))
