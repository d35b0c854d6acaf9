"""A system without a log, in memory, and an extractor over it that reads it in any of the ways there are.

Small enough to be seen to be right; it is looked at, fails and moves its pages when a test says so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import attrs
import pyarrow as pa

from adapters.sources.polling.cursor import scalar_of
from adapters.sources.polling.extractor import Extraction, Kind, Rows, Window
from pipeline.domain.change import Misfit
from pipeline.domain.errors import PipelineError, SourceRejected
from pipeline.domain.finding import Finding
from pipeline.domain.schema import Column, StreamSchema
from pipeline.domain.stream import StreamSpec
from pipeline.ports.source import Relation

Row = dict[str, Any]

SCHEMA = StreamSchema((Column("id", pa.int64()), Column("note", pa.string()), Column("size", pa.int32())), key=("id",))
SPEC = StreamSpec("orders", "orders", "shelf", read={})


@attrs.define
class Shelf:
    """Rows in order. ``version`` counts writes, and each row knows the one that it was written by (``at``).

    ``between`` is called before each page but the first of a reading; ``fault`` is raised there instead.
    """

    rows: list[Row] = attrs.field(factory=list)
    version: int = 0
    page_rows: int = 2
    between: Callable[[int], None] = lambda _: None
    fault: PipelineError | None = None
    reading_count: int = 0

    def put(self, *rows: Row) -> None:
        """Write rows, those that are there in their places."""
        self.version += 1
        for row in rows:
            written = {"size": 0, **row, "at": self.version}
            known = [number for number, held in enumerate(self.rows) if held["id"] == row["id"]]
            if known:
                self.rows[known[0]] = written
            else:
                self.rows.append(written)

    def remove(self, number: int) -> None:
        """Delete a row."""
        self.version += 1
        self.rows = [row for row in self.rows if row["id"] != number]

    def pages(self, rows: Callable[[], list[Row]]) -> Iterator[list[Row]]:
        """A reading page by page, each as the shelf is by then."""
        self.reading_count += 1
        at = 0
        while at == 0 or at < len(rows()):
            if at:
                self.between(at // self.page_rows)
                if self.fault is not None:
                    raise self.fault
            yield rows()[at : at + self.page_rows]
            at += self.page_rows


@attrs.define
class ShelfExtractor:
    """Reads a shelf as ``how`` says. With a window its cursor is the column ``at``."""

    shelf: Shelf
    how: Callable[[ShelfExtractor, Mapping[str, str]], Extraction]
    schema_now: StreamSchema = SCHEMA
    max_vanished_share: float = 0.5
    unique: bool = True
    name: str = "shelf"
    poll_s: float = 0.0

    def discover(self) -> tuple[Relation, ...]:
        return (Relation("orders", "shelf", self.schema_now, estimated_count=len(self.shelf.rows)),)

    def inspect(self, stream: StreamSpec) -> tuple[Finding, ...]:
        return ()

    def schema(self, stream: StreamSpec) -> StreamSchema:
        if stream.relation != "orders":
            raise SourceRejected("no such shelf", where=f"stream {stream.name}")
        return self.schema_now

    def estimate(self, stream: StreamSpec) -> int | None:
        return len(self.shelf.rows)

    def has_unique_keys(self, stream: StreamSpec) -> bool:
        return self.unique

    def max_vanished(self, stream: StreamSpec) -> float:
        return self.max_vanished_share

    def extract(
        self, stream: StreamSpec, schema: StreamSchema, bookmarks: Mapping[str, str], *, limit: int | None = None
    ) -> Extraction:
        return self.how(self, bookmarks)

    def mark(self, stream: StreamSpec) -> str | None:
        return str(self.shelf.version)

    def close(self) -> None:
        """Nothing to close."""

    def read(self, rows: Callable[[], list[Row]], bookmarks: Mapping[str, str | None] | None = None) -> Iterator[Rows]:
        """A reading as an extraction has it: the last page carries the bookmarks."""
        for page in self.shelf.pages(rows):
            yield self.rows_of(page)
        if bookmarks:
            yield attrs.evolve(self.rows_of([]), bookmarks=bookmarks)

    def rows_of(self, page: list[Row]) -> Rows:
        """Rows as a table; a size that is text is a misfit."""
        odd = [number for number, row in enumerate(page) if isinstance(row["size"], str)]
        columns = {
            name: [None if name == "size" and number in odd else row[name] for number, row in enumerate(page)]
            for name in self.schema_now.names
        }
        texts = [page[number]["size"] for number in odd]
        misfits = (Misfit("size", pa.array(odd, pa.int64()), pa.array(texts, pa.string()), "no number"),)
        table = pa.table(columns, schema=self.schema_now.arrow())
        return Rows(table, misfits if odd else (), byte_count=10 * len(page))

    def since(self, bookmarks: Mapping[str, str]) -> int:
        """Where a window begins."""
        return int(scalar_of(bookmarks["since"], pa.int64()).as_py()) if "since" in bookmarks else 0


def image(extractor: ShelfExtractor, bookmarks: Mapping[str, str]) -> Extraction:
    """All rows, compared."""
    return Extraction(Kind.IMAGE, extractor.read(lambda: extractor.shelf.rows))


def shifting_image(extractor: ShelfExtractor, bookmarks: Mapping[str, str]) -> Extraction:
    """All rows, compared, looked for twice before they are taken for gone."""
    return Extraction(Kind.IMAGE, extractor.read(lambda: extractor.shelf.rows), shifts=True)


def replacement(extractor: ShelfExtractor, bookmarks: Mapping[str, str]) -> Extraction:
    """All rows in place of those before."""
    return Extraction(Kind.REPLACEMENT, extractor.read(lambda: extractor.shelf.rows))


def plain_changes(extractor: ShelfExtractor, bookmarks: Mapping[str, str]) -> Extraction:
    """Rows written after a version that the extractor itself remembers."""
    after, now = int(bookmarks.get("version", "0")), extractor.shelf.version
    rows = [row for row in extractor.shelf.rows if after < row["at"] <= now]
    return Extraction(Kind.CHANGES, extractor.read(lambda: rows, {"version": str(now)}))


def window(
    extractor: ShelfExtractor, bookmarks: Mapping[str, str], *, overlap: int | None = None, is_ordered: bool = True
) -> Extraction:
    """Rows from a version on."""
    since = extractor.since(bookmarks)
    rows = [row for row in extractor.shelf.rows if row["at"] >= since]
    rows.sort(key=lambda row: row["at"], reverse=not is_ordered)
    scalar = None if overlap is None else pa.scalar(overlap, pa.int64())
    return Extraction(Kind.CHANGES, extractor.read(lambda: rows), Window("at", scalar, is_ordered))


def window_and_keys(extractor: ShelfExtractor, bookmarks: Mapping[str, str]) -> Extraction:
    """Rows from a version on, and the keys of all."""

    def keys() -> Iterator[pa.Table]:
        for page in extractor.shelf.pages(lambda: extractor.shelf.rows):
            yield pa.table({"id": pa.array([row["id"] for row in page], pa.int64())})

    return attrs.evolve(window(extractor, bookmarks), all_keys=keys)


#: The columns with the cursor.
WITH_AT = StreamSchema((*SCHEMA.columns, Column("at", pa.int64())), key=("id",))
