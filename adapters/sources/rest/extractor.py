"""The polling SPI over a REST API: what a stream's pages are, and what its schema is.

Pages are read by ``reading``; what changed between two looks is ``polling``'s to say.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from itertools import chain

import attrs
import pyarrow as pa

from adapters.sources.polling.cursor import SINCE
from adapters.sources.polling.extractor import Extraction, Kind, Rows, Window
from adapters.sources.rest import openapi
from adapters.sources.rest.client import Client
from adapters.sources.rest.columns import check_words, recalled, remembered
from adapters.sources.rest.conditions import VALIDATORS, conditions, remembered_validators
from adapters.sources.rest.endpoints import Deletes, StreamOptions, stream_options
from adapters.sources.rest.options import RestOptions
from adapters.sources.rest.reading import Reading, Records
from adapters.sources.rest.rows import RowMaker
from adapters.sources.rest.sampling import Sample, cursor_type, sampled
from pipeline.domain.errors import PipelineError
from pipeline.domain.finding import Finding, Level
from pipeline.domain.schema import StreamSchema
from pipeline.domain.stream import StreamSpec
from pipeline.ports.source import Relation

#: The bookmark of guessed columns.
COLUMNS = "columns"

_KINDS = {
    Deletes.DIFF: Kind.IMAGE,
    Deletes.REPLACE: Kind.REPLACEMENT,
    Deletes.FLAG: Kind.CHANGES,
    Deletes.NONE: Kind.CHANGES,
}


class RestExtractor:
    """See ``adapters.sources.polling.extractor.Extractor``."""

    def __init__(self, name: str, options: RestOptions) -> None:
        self._name = name
        self._options = options
        self._client = Client(name, options)
        self._samples: dict[str, Sample] = {}
        self._guesses: dict[str, Sample] = {}
        self._probed: set[str] = set()

    @property
    def name(self) -> str:
        """The source's name."""
        return self._name

    @property
    def poll_s(self) -> float:
        """Seconds between two looks."""
        return self._options.poll_s

    def discover(self) -> tuple[Relation, ...]:
        """The lists that an OpenAPI document tells of; nothing where there is none."""
        return openapi.relations(self._client, self._options, where=f"source {self._name}")

    def inspect(self, stream: StreamSpec) -> tuple[Finding, ...]:
        """Whether the endpoint answers with records that have the key and the columns they should."""
        where = f"stream {stream.name}"
        try:
            options = self._stream(stream)
            sample = sampled(self._reading(stream, options, {}), options, {}, where=self._where(stream))
            schema = sample.schema(options, stream, where=self._where(stream))
            self._maker(stream, options, schema).check(sample)
        except PipelineError as error:
            others = () if error.retries else self._openapi_finding()
            return (Finding.of(error, "endpoint", where=where), *others)
        how = "declared" if options.columns else f"guessed from {sample.record_count:,} records"
        found = [Finding(Level.OK, "endpoint", f"answers; {len(schema.columns)} columns, {how}", where)]
        if not options.columns:
            found.append(
                Finding(
                    Level.INFO,
                    "columns",
                    "types are guessed from the first records",
                    where,
                    "Declare columns to pin them: a value of another type is set apart as one that does not fit.",
                )
            )
        return (*found, *self._openapi_finding())

    def schema(self, stream: StreamSpec) -> StreamSchema:
        """The declared columns, or those of the first records."""
        return self.schema_since(stream, {})

    def schema_since(self, stream: StreamSpec, bookmarks: Mapping[str, str]) -> StreamSchema:
        """The declared columns; or those that were guessed before, and those that the first records of this look have
        beside them. What is read for it is the beginning of the next ``extract`` with these bookmarks.
        """
        options = self._stream(stream)
        where = self._where(stream)
        if options.columns:
            if not bookmarks and stream.name not in self._probed:
                # What cannot be read is refused before anything is made of it, but once is enough.
                next(self._reading(stream, options, {}).pages(), None)
                self._probed.add(stream.name)
            return Sample.declared(options).schema(options, stream, where=where)
        known = recalled(bookmarks.get(COLUMNS))
        guess = self._guesses.get(stream.name)
        if not bookmarks and guess is not None and guess.is_fresh():
            # Asked again within one start: the types will do, but pages are read when they are wanted.
            self._samples.pop(stream.name, None)
            return guess.schema(options, stream, where=where)
        sample = sampled(self._reading(stream, options, bookmarks, known=known), options, known, where=where)
        self._samples[stream.name] = attrs.evolve(sample, bookmarks=dict(bookmarks))
        self._guesses[stream.name] = Sample(sample.words)
        return sample.schema(options, stream, where=where)

    def estimate(self, stream: StreamSpec) -> int | None:
        """Not known without reading it."""
        return None

    def has_unique_keys(self, stream: StreamSpec) -> bool:
        """Of an image, since a key that comes twice is refused."""
        return self._stream(stream).deletes is Deletes.DIFF and self._stream(stream).since is None

    def max_vanished(self, stream: StreamSpec) -> float:
        """As configured."""
        return self._stream(stream).max_vanished

    def extract(
        self, stream: StreamSpec, schema: StreamSchema, bookmarks: Mapping[str, str], *, limit: int | None = None
    ) -> Extraction:
        """All pages, or those of what changed since the cursor's place."""
        options = self._stream(stream)
        maker = self._maker(stream, options, schema)
        pages = self._pages(stream, options, maker, bookmarks)
        first = next(pages, None)
        if first is not None and first.is_unchanged:
            return Extraction(Kind.CHANGES, iter(()), remembers=True)
        rows = self._rows(stream, options, maker, chain([first] if first is not None else [], pages), limit=limit)
        if options.since is None:
            return Extraction(_KINDS[options.deletes], rows, shifts=options.pages_move)
        column = maker.cursor()
        window = Window(column.name, options.since.reach(column.type), is_ordered=options.since.is_ordered)
        all_keys = (lambda: self._all_keys(stream, options, maker)) if options.deletes is Deletes.DIFF else None
        return Extraction(Kind.CHANGES, rows, window=window, all_keys=all_keys, shifts=options.pages_move)

    def mark(self, stream: StreamSpec) -> str | None:
        """Of an endpoint of a single page its validator, or a digest of its records."""
        options = self._stream(stream)
        if options.since is not None or options.endpoint.places:
            return None
        page = next(self._reading(stream, options, {}).pages(), None)
        if page is None or not page.is_only:
            return None
        if page.validators:
            return json.dumps(dict(page.validators), sort_keys=True)
        return hashlib.sha256(repr(page.records).encode()).hexdigest()

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _pages(
        self, stream: StreamSpec, options: StreamOptions, maker: RowMaker, bookmarks: Mapping[str, str]
    ) -> Iterator[Records]:
        """The pages of a look, those that its schema was guessed from first."""
        sample = self._samples.pop(stream.name, None)
        if sample is not None and sample.bookmarks == bookmarks and sample.reading is not None and sample.is_fresh():
            return sample.pages(is_exact=maker.is_exact)
        reading = self._reading(stream, options, bookmarks, schema=maker.schema)
        reading.is_exact = maker.is_exact
        return reading.pages()

    def _rows(
        self,
        stream: StreamSpec,
        options: StreamOptions,
        maker: RowMaker,
        pages: Iterator[Records],
        *,
        limit: int | None,
    ) -> Iterator[Rows]:
        count, validators = 0, None
        for page in pages:
            yield from maker.rows(page)
            count += len(page.records)
            if page.is_only and page.validators:
                validators = remembered_validators(options, page.validators)
            if limit is not None and count >= limit:
                return
        told: dict[str, str | None] = {} if options.since is not None else {VALIDATORS: validators}
        if not options.columns:
            told[COLUMNS] = remembered(maker.words())
        yield Rows(maker.schema.arrow().empty_table(), bookmarks=told)

    def _maker(self, stream: StreamSpec, options: StreamOptions, schema: StreamSchema) -> RowMaker:
        return RowMaker(options, schema, where=self._where(stream), exclude=stream.exclude)

    def _all_keys(self, stream: StreamSpec, options: StreamOptions, maker: RowMaker) -> Iterator[pa.Table]:
        for page in self._reading(stream, attrs.evolve(options, since=None), {}).pages():
            yield maker.keys(page)

    def _reading(
        self,
        stream: StreamSpec,
        options: StreamOptions,
        bookmarks: Mapping[str, str],
        *,
        schema: StreamSchema | None = None,
        known: Mapping[str, str] | None = None,
    ) -> Reading:
        parameters: dict[str, str] = {}
        if options.since is not None:
            kind = cursor_type(options, schema, known or {})
            text = options.since.text(bookmarks.get(SINCE), kind)
            if text is not None:
                parameters[options.since.parameter] = text
        return Reading(
            self._client,
            options,
            url=self._options.url,
            where=self._where(stream),
            parameters=parameters,
            conditions=conditions(options, bookmarks),
        )

    def _stream(self, stream: StreamSpec) -> StreamOptions:
        options = stream_options(stream, self._options)
        check_words(options.columns, self._where(stream))
        return options

    def _where(self, stream: StreamSpec) -> str:
        return f"source {self._name}, stream {stream.name}"

    def _openapi_finding(self) -> tuple[Finding, ...]:
        try:
            found = self.discover()
        except PipelineError as error:
            return (Finding(Level.WARNING, "openapi", error.what, f"source {self._name}", error.hint),)
        if found:
            return ()
        what = "the API has no OpenAPI document that tells of lists"
        hint = "Write streams by hand: a relation such as /orders, and under read its record path, key and paginate."
        return (Finding(Level.INFO, "openapi", what, f"source {self._name}", hint),)
