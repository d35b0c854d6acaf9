"""Looks by a cursor miss no row and tell none twice, whatever ties, late rows, nulls and pages there are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import attrs
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from adapters.sources.polling.extractor import Extraction, Kind, Window
from adapters.sources.polling.look import look
from adapters.sources.polling.memory import StreamMemory
from pipeline.domain.bookmarks import NO_BOOKMARKS, moved
from pipeline.domain.change import Operation
from pipeline.domain.schema import StreamSchema
from tests.support.profiles import examples
from tests.support.shelf import SPEC, WITH_AT, Shelf, ShelfExtractor

NO_KEY = StreamSchema(WITH_AT.columns)

Row = tuple[int, str, int | None]


@attrs.define
class Watched:
    """A table with a cursor ``at``, and what the looks at it have told so far."""

    overlap: int | None
    is_ordered: bool
    schema: StreamSchema
    rows: list[Row] = attrs.field(factory=list)
    kept: pa.Table = NO_BOOKMARKS
    highest: int | None = None
    page_rows: int = 2
    memory: StreamMemory = attrs.field(factory=lambda: StreamMemory.of(NO_BOOKMARKS))

    @property
    def reach(self) -> int:
        """The lowest cursor that the next look still shows."""
        return 0 if self.highest is None else self.highest - (self.overlap or 0)

    def look(self, *, restarts: bool) -> list[tuple[Operation, Row]]:
        """What one more look tells."""
        if restarts:
            self.memory = StreamMemory.of(self.kept)
        extractor = ShelfExtractor(Shelf(page_rows=self.page_rows), self._extract, schema_now=self.schema)
        told = []
        for piece in look(extractor, SPEC, self.schema, self.memory):
            self.kept = moved(self.kept, piece.bookmarks)
            for operation, row in zip(piece.ops.tolist(), piece.rows.to_pylist(), strict=True):
                told.append((Operation(operation), (row["id"], row["note"], row["at"])))
        cursors = [at for _, _, at in self.rows if at is not None]
        if cursors:
            self.highest = max(cursors) if self.highest is None else max(self.highest, *cursors)
        return told

    def _extract(self, extractor: ShelfExtractor, bookmarks: Mapping[str, str]) -> Extraction:
        since = int(bookmarks["since"]) if "since" in bookmarks else None
        shown = [row for row in self.rows if row[2] is None or since is None or row[2] >= since]
        if self.is_ordered:
            shown.sort(key=lambda row: (row[2] is not None, row[2] or 0))
        rows: list[dict[str, Any]] = [{"id": key, "note": note, "size": 0, "at": at} for key, note, at in shown]
        overlap = None if self.overlap is None else pa.scalar(self.overlap, pa.int64())
        return Extraction(Kind.CHANGES, extractor.read(lambda: rows), Window("at", overlap, self.is_ordered))


#: What a writer does: which row, what it writes, how far before the reach's end (late), or without a cursor.
WRITES = st.lists(
    st.tuples(st.integers(0, 5), st.sampled_from("ab"), st.integers(0, 4) | st.none(), st.booleans()), max_size=5
)
LOOKS = st.lists(st.tuples(WRITES, st.booleans()), min_size=1, max_size=6)


def cursor_of(watched: Watched, ahead: int | None) -> int | None:
    """A cursor that the next look shows: anywhere between its reach and a little above all there are."""
    return None if ahead is None else watched.reach + ahead * (1 + (watched.overlap or 0)) // 2


@examples(60)
@given(LOOKS, st.sampled_from([None, 0, 2, 5]), st.booleans(), st.integers(1, 4))
def test_after_a_look_every_row_is_there_and_told_once(
    looks: list[tuple[list[tuple[int, str, int | None, bool]], bool]],
    overlap: int | None,
    is_ordered: bool,
    page_rows: int,
) -> None:
    watched = Watched(overlap, is_ordered, WITH_AT, page_rows=page_rows)
    held: dict[int, Row] = {}
    for writes, restarts in looks:
        for key, note, ahead, is_deleted in writes:
            watched.rows = [row for row in watched.rows if row[0] != key]
            if not is_deleted:
                watched.rows.append((key, note, cursor_of(watched, ahead)))
        expected = {row for row in watched.rows if held.get(row[0]) != row}
        told = watched.look(restarts=restarts)
        # A row that went and came back as it was may be told; nothing else is, that is as it was.
        assert expected <= {row for _, row in told}
        assert len(told) == len({row for _, row in told})
        held.update({row[0]: row for _, row in told})
        assert {row[0]: row for row in watched.rows}.items() <= held.items()
        assert watched.look(restarts=restarts) == []


@examples(40)
@given(LOOKS, st.sampled_from([None, 2]), st.booleans())
def test_rows_without_a_key_are_told_as_often_as_they_are_there(
    looks: list[tuple[list[tuple[int, str, int | None, bool]], bool]], overlap: int | None, is_ordered: bool
) -> None:
    watched = Watched(overlap, is_ordered, NO_KEY, page_rows=3)
    held: Counter[Row] = Counter()
    for writes, restarts in looks:
        watched.rows += [(key % 2, note, cursor_of(watched, ahead)) for key, note, ahead, _ in writes]
        told = watched.look(restarts=restarts)
        assert {operation for operation, _ in told} <= {Operation.INSERT}
        held.update(row for _, row in told)
        assert held == Counter(watched.rows)
