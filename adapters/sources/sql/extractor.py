"""A SQL database as an ``Extractor``: what each way of detecting changes reads, and in which order.

How SQL is written and rows become Arrow is the dialects' affair; what changed is told by ``adapters.sources.polling``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime

import attrs
import pyarrow as pa

from adapters.sources.polling.changerows import taken
from adapters.sources.polling.cursor import SINCE, not_before, values_of
from adapters.sources.polling.extractor import Extraction, Kind, Rows
from adapters.sources.sql.cursors import until_of, window_of
from adapters.sources.sql.database import Database, Fetched, Select, Selected, View
from adapters.sources.sql.discovery import discover
from adapters.sources.sql.inspecting import inspect
from adapters.sources.sql.marks import mark
from adapters.sources.sql.reading import Detect, reading_of
from adapters.sources.sql.rowkeys import RowKeys
from adapters.sources.sql.streams import Stream, keyed, stream_of
from pipeline.domain.errors import PipelineError
from pipeline.domain.finding import Finding
from pipeline.domain.schema import StreamSchema
from pipeline.domain.stream import StreamSpec
from pipeline.ports.source import Relation

#: Bookmarks: what the columns and what the key were, and when keys were compared last.
COLUMNS, KEY, COMPARED = "columns", "key", "compared"


class SqlExtractor:
    """See ``adapters.sources.polling.extractor.Extractor``."""

    def __init__(self, name: str, database: Database, *, poll_s: float) -> None:
        self._name = name
        self._database = database
        self._poll_s = poll_s
        self._streams: dict[str, Stream] = {}

    @property
    def name(self) -> str:
        """The source's name."""
        return self._name

    @property
    def poll_s(self) -> float:
        """Seconds between two looks."""
        return self._poll_s

    def discover(self) -> tuple[Relation, ...]:
        """Tables and views that the user sees."""
        return discover(self._database)

    def inspect(self, stream: StreamSpec) -> tuple[Finding, ...]:
        """What would stop or harm reading the stream."""
        return inspect(self._database, stream, where=self._where(stream), schema=lambda: self.schema(stream))

    def schema(self, stream: StreamSpec) -> StreamSchema:
        """The columns as they are now; raises ``SourceRejected`` and ``ConfigError`` for what cannot be read so."""
        with self._told(stream):
            described = self._database.describe(reading_of(stream), exclude=stream.exclude)
            self._streams[stream.name] = stream_of(
                described, compares_texts=self._database.compares_texts, where=self._where(stream)
            )
        return self._streams[stream.name].schema

    def estimate(self, stream: StreamSpec) -> int | None:
        """The database's guess."""
        reading = reading_of(stream)
        return None if reading.query else self._database.estimate(self._database.name_of(reading.relation))

    def has_unique_keys(self, stream: StreamSpec) -> bool:
        """Primary keys, and keys made here, are unique; of a key that somebody named nothing is known."""
        known = self._known(stream)
        return known.made_key or sorted(known.described.key) == sorted(
            selected.column.source_name for selected in known.key_columns
        )

    def max_vanished(self, stream: StreamSpec) -> float:
        """As configured."""
        return reading_of(stream).max_vanished

    def extract(
        self, stream: StreamSpec, schema: StreamSchema, bookmarks: Mapping[str, str], *, limit: int | None = None
    ) -> Extraction:
        """Read as the stream's ``read`` says."""
        known = self._known(stream, schema)
        with self._told(stream):
            view = self._database.view()
            try:
                return self._extraction(view, known, stream, bookmarks, limit=limit)
            except BaseException:
                view.close()
                raise

    def mark(self, stream: StreamSpec) -> str | None:
        """What the database counts, where it counts anything cheaply."""
        return mark(self._database, reading_of(stream))

    def close(self) -> None:
        """Close the database's connections."""
        self._database.close()

    def _known(self, spec: StreamSpec, schema: StreamSchema | None = None) -> Stream:
        known = self._streams.get(spec.name)
        if known is None or known.reading != reading_of(spec) or (schema is not None and known.schema != schema):
            self.schema(spec)
            known = self._streams[spec.name]
        return known

    def _extraction(
        self, view: View, known: Stream, spec: StreamSpec, bookmarks: Mapping[str, str], *, limit: int | None
    ) -> Extraction:
        if limit is not None:
            select = Select(known.described, known.described.columns, limit=limit)
            return Extraction(Kind.CHANGES, self._rows(view, known, select, spec, is_last=True))
        if known.reading.detect is Detect.REFRESH:
            return self._refresh(view, known, spec)
        if known.reading.detect is Detect.CURSOR and not _is_other(KEY, known.key_digest(), bookmarks):
            return self._by_cursor(view, known, spec, bookmarks)
        return self._by_hash(view, known, spec, bookmarks)

    def _by_cursor(self, view: View, known: Stream, spec: StreamSpec, bookmarks: Mapping[str, str]) -> Extraction:
        now = view.now()
        window = window_of(known.cursor, known.reading, now=now, where=self._where(spec))
        width = len(window.columns)
        select = Select(
            known.described,
            known.described.columns,
            until=until_of(known.cursor, known.reading, now=now),
            order=known.cursor,
        )
        since = values_of(bookmarks.get(SINCE), [selected.column.type for selected in known.cursor[:width]])
        if since and not _is_other(COLUMNS, known.columns_digest(), bookmarks):
            select = attrs.evolve(select, since=tuple(zip(known.cursor, since, strict=False)))
        if not select.since or not _any_rows(view, select, known.cursor[0]):
            # What was highest is gone: nobody knows what else went back, as when a database is restored.
            select = attrs.evolve(select, since=(), order=())
        window = attrs.evolve(window, is_ordered=bool(select.since), is_anew=not select.since)
        is_due = known.reading.finds_deletes and _is_due(bookmarks, known.reading.every_s, now=now)
        return Extraction(
            Kind.CHANGES,
            self._rows(view, known, select, spec, bookmarks=_shape(known), is_last=not is_due),
            window=window,
            all_keys=(lambda: self._keys(view, known, spec)) if is_due else None,
            compared={COMPARED: now.isoformat()} if is_due and known.reading.every_s else {},
            remembers=known.reading.finds_deletes,
        )

    def _by_hash(self, view: View, known: Stream, spec: StreamSpec, bookmarks: Mapping[str, str]) -> Extraction:
        """All rows; where what they are told apart by has changed, none can be compared: then all take the place of
        those before.
        """
        select = Select(known.described, known.described.columns)
        is_other = _is_other(KEY, known.key_digest(), bookmarks)
        told = {**_shape(known), SINCE: None} if is_other else _shape(known)
        rows = self._rows(view, known, select, spec, bookmarks=told, is_last=True)
        return Extraction(Kind.REPLACEMENT if is_other else Kind.IMAGE, rows, remembers=is_other)

    def _refresh(self, view: View, known: Stream, spec: StreamSpec) -> Extraction:
        """All rows: they take the place of those before if any of them differs."""
        select = Select(known.described, known.described.columns)
        return Extraction(
            Kind.REPLACEMENT, self._rows(view, known, select, spec, bookmarks=_shape(known), is_last=True)
        )

    def _rows(
        self,
        view: View,
        known: Stream,
        select: Select,
        spec: StreamSpec,
        *,
        is_last: bool,
        bookmarks: Mapping[str, str | None] | None = None,
    ) -> Iterator[Rows]:
        """The rows of a view, which is closed behind them if ``is_last``, and in any case if they are not wanted."""
        keys = RowKeys()
        with self._told(spec):
            try:
                for read in view.read(select):
                    piece = _exact(read, select)
                    yield Rows(keyed(known, piece, keys), piece.misfits, byte_count=piece.table.nbytes)
                if bookmarks:
                    yield Rows(known.schema.arrow().empty_table(), bookmarks=bookmarks)
            except BaseException:
                view.close()
                raise
            if is_last:
                view.close()

    def _keys(self, view: View, known: Stream, spec: StreamSpec) -> Iterator[pa.Table]:
        with self._told(spec):
            try:
                for piece in view.read(Select(known.described, known.key_columns)):
                    yield piece.table
            finally:
                view.close()

    @contextmanager
    def _told(self, spec: StreamSpec) -> Iterator[None]:
        """Let an error name the stream that it befell."""
        try:
            yield
        except PipelineError as error:
            where = self._where(spec)
            if where not in error.where:
                error.where = f"{where}, {error.where}" if error.where else where
            raise

    def _where(self, spec: StreamSpec) -> str:
        return f"source {self._name}, stream {spec.name}"


def _exact(piece: Fetched, select: Select) -> Fetched:
    """Less the rows that the database could not tell from later ones, or every look would take them for new."""
    if not any(selected.is_coarse for selected, _ in select.since):
        return piece
    cursors = piece.table.select([selected.column.name for selected, _ in select.since])
    mask = not_before(cursors, tuple(value for _, value in select.since))
    return piece if mask.all() else Fetched(piece.table.filter(pa.array(mask)), taken(piece.misfits, mask))


def _any_rows(view: View, select: Select, column: Selected) -> bool:
    """Whether there is any row where the last look ended."""
    wanted = attrs.evolve(select, columns=(column,), until=None, order=(), with_nulls=False, limit=1)
    return any(piece.table.num_rows for piece in view.read(wanted))


def _is_due(bookmarks: Mapping[str, str], every_s: float, *, now: datetime) -> bool:
    try:
        last = datetime.fromisoformat(bookmarks[COMPARED])
    except (KeyError, ValueError):
        return True
    return not 0 <= (now - last).total_seconds() < every_s


def _is_other(name: str, told: str, bookmarks: Mapping[str, str]) -> bool:
    return bookmarks.get(name, told) != told


def _shape(known: Stream) -> dict[str, str | None]:
    return {COLUMNS: known.columns_digest(), KEY: known.key_digest()}
