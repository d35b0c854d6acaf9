"""The port's ``Source`` over an extractor: the one place where sources without a log become sources."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import pyarrow as pa

from adapters.sources.polling.extractor import Extractor
from adapters.sources.polling.memory import StreamMemory
from adapters.sources.polling.positions import Instants, instant_of, position
from adapters.sources.polling.reader import PollReader
from adapters.sources.polling.snapshot import PollSnapshot
from pipeline.domain.bookmarks import NO_BOOKMARKS
from pipeline.domain.checkpoint import Checkpoint
from pipeline.domain.errors import PipelineError, SourceRejected
from pipeline.domain.finding import Finding
from pipeline.domain.position import Position
from pipeline.domain.schema import StreamSchema
from pipeline.domain.stream import BatchLimits, StreamSpec
from pipeline.ports.source import BookmarksOf, LogState, LogStatus, Relation


class PollSource:
    """See ``pipeline.ports.source.Source``. Reads one stream: each is a group of its own."""

    def __init__(self, extractor: Extractor) -> None:
        self._extractor = extractor
        self._instants = Instants()

    @property
    def name(self) -> str:
        """The source's name."""
        return self._extractor.name

    def discover(self) -> tuple[Relation, ...]:
        """What the extractor finds, in order of name."""
        return tuple(sorted(self._extractor.discover(), key=lambda relation: relation.name))

    def inspect(self, streams: Collection[StreamSpec]) -> tuple[Finding, ...]:
        """What the extractor says of each stream, the same only once."""
        found = (finding for spec in streams for finding in self._extractor.inspect(spec))
        return tuple(dict.fromkeys(found))

    def schemas(self, streams: Collection[StreamSpec]) -> Mapping[str, StreamSchema]:
        """The schema of each stream; one that cannot be read hides no other."""
        schemas: dict[str, StreamSchema] = {}
        refused: list[PipelineError] = []
        for spec in streams:
            try:
                schemas[spec.name] = self._extractor.schema(spec)
            except SourceRejected as error:
                refused.append(error)
        if refused:
            told = "; ".join(f"{error.where}: {error.what}" for error in refused)
            raise SourceRejected(told, where=f"source {self.name}", hint=refused[0].hint, **refused[0].facts)
        return schemas

    def preview(self, stream: StreamSpec, *, limit: int) -> pa.Table:
        """The first rows of an extraction."""
        schema = self._extractor.schema(stream)
        tables = [schema.arrow().empty_table()]
        for rows in self._extractor.extract(stream, schema, {}, limit=limit).rows:
            tables.append(rows.table.select(schema.names).cast(schema.arrow()))
            if sum(table.num_rows for table in tables) >= limit:
                break
        return pa.concat_tables(tables).slice(0, limit)

    def log(self) -> LogState:
        """There is none; its end is always now."""
        return LogState(LogStatus.NONE, None, position(self._instants.now()))

    def check(self, checkpoint: Checkpoint) -> LogState:
        """Reading goes on from any checkpoint of this kind, also one that a clock wrote which was ahead."""
        self._instants.pass_by(instant_of(checkpoint.position))
        return self.log()

    def prepare(self, streams: Collection[StreamSpec]) -> None:
        """Nothing is kept at the source; only refuse what could not be read."""
        self.schemas(streams)

    def begin(self, streams: Collection[StreamSpec], *, epoch: int) -> PollSnapshot:
        """A snapshot from now on."""
        return self.snapshot(streams, epoch=epoch)

    def snapshot(self, streams: Collection[StreamSpec], *, epoch: int) -> PollSnapshot:
        """A snapshot from now on."""
        specs = {spec.name: spec for spec in streams}
        return PollSnapshot(self._extractor, specs, self._instants, epoch=epoch)

    def forget(self) -> None:
        """Nothing is kept."""

    def mark(self) -> Position:
        """Now; a look that begins after it shows at least what is there by then."""
        return position(self._instants.next())

    def read(
        self,
        checkpoint: Checkpoint,
        streams: Mapping[str, tuple[StreamSpec, Position]],
        *,
        limits: BatchLimits,
        up_to: Position | None = None,
        bookmarks: BookmarksOf | None = None,
    ) -> PollReader:
        """Look from the checkpoint and its bookmarks on."""
        self.check(checkpoint)
        [(name, (spec, since))] = streams.items()
        return PollReader(
            self._extractor,
            spec,
            StreamMemory.of(NO_BOOKMARKS if bookmarks is None else bookmarks(name)),
            self._instants,
            epoch=checkpoint.epoch,
            after=checkpoint.position,
            since=since,
            limits=limits,
            up_to=up_to,
        )

    def close(self) -> None:
        """Close the extractor's connections."""
        self._extractor.close()
