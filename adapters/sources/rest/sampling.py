"""The first pages of a look, read ahead to guess columns from, and then not read again.

Which type a column is guessed to have is ``columns``'s to say.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping

import attrs
import pyarrow as pa

from adapters.sources.rest.columns import UNLISTED, guessed, schema_of, type_of
from adapters.sources.rest.endpoints import StreamOptions, Unlisted
from adapters.sources.rest.reading import Reading, Records
from adapters.sources.typewords import JSON
from pipeline.domain.errors import SourceRejected
from pipeline.domain.schema import StreamSchema
from pipeline.domain.stream import StreamSpec

#: Pages that were read so long ago (seconds) are read again: the ones behind them may have shifted.
_FRESH_S = 60.0


@attrs.frozen(eq=False)
class Sample:
    """Type words of columns, the pages they were guessed from, and how reading goes on behind those."""

    words: Mapping[str, str]
    taken: tuple[Records, ...] = ()
    others: Iterator[Records] = attrs.field(factory=lambda: iter(()))
    reading: Reading | None = None
    bookmarks: Mapping[str, str] = attrs.field(factory=dict)
    at: float = attrs.field(factory=time.monotonic)

    @classmethod
    def declared(cls, options: StreamOptions) -> Sample:
        """The columns of the pipeline file."""
        return cls(options.columns)

    @property
    def record_count(self) -> int:
        """How many records were read."""
        return sum(len(page.records) for page in self.taken)

    def is_fresh(self) -> bool:
        """Whether it may still be gone on from."""
        return time.monotonic() - self.at < _FRESH_S

    def pages(self, *, is_exact: bool) -> Iterator[Records]:
        """All pages of the look; to be asked for once."""
        if self.reading is not None:
            self.reading.is_exact = is_exact
        yield from self.taken
        yield from self.others

    def schema(self, options: StreamOptions, stream: StreamSpec, *, where: str) -> StreamSchema:
        """The columns as a schema with the stream's key; raises ``SourceRejected`` for columns that are missing."""
        needed = [*options.key, *([options.since.column] if options.since is not None else [])]
        missing = [name for name in dict.fromkeys(needed) if name not in self.words or name in stream.exclude]
        if missing and not self.words:
            raise SourceRejected(
                "the endpoint has no records yet to guess columns from",
                where=where,
                hint="Declare columns in the read section of the stream.",
            )
        if missing:
            there = "are not among the columns" if options.columns else "have no value in the first records"
            raise SourceRejected(
                f"{', '.join(missing)} {there}, but key or cursor names them",
                where=where,
                hint="Correct key and cursor of the stream, or declare columns.",
            )
        words = dict(self.words)
        if options.unlisted is Unlisted.KEEP:
            if UNLISTED in words and words[UNLISTED] != JSON:
                raise SourceRejected(
                    f"records have a member {UNLISTED} of their own",
                    where=where,
                    hint="Set unlisted to ignore or stop.",
                )
            words[UNLISTED] = JSON
        return schema_of(words, options.key, exclude=stream.exclude)


def sampled(reading: Reading, options: StreamOptions, known: Mapping[str, str], *, where: str) -> Sample:
    """Read pages until there are as many records as ``options`` ask for; all columns they show, ``known`` first."""
    others = reading.pages()
    taken: list[Records] = []
    count = 0
    for page in others:
        taken.append(page)
        count += len(page.records)
        if count >= options.sample:
            break
    records = [record for page in taken for record in page.records]
    words = options.columns or guessed(records, known)
    return Sample(words, tuple(taken), others, reading)


def cursor_type(options: StreamOptions, schema: StreamSchema | None, known: Mapping[str, str]) -> pa.DataType | None:
    """The type of the cursor's column; None where it is not known, so that a look begins anew."""
    column = options.since.column if options.since is not None else ""
    if schema is not None:
        return next((found.type for found in schema.columns if found.source_name == column), None)
    return type_of(known[column]) if column in known else None
