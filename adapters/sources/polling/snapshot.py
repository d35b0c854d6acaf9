"""The port's ``Snapshot`` over an extraction of everything: as consistent as the source itself is while it is read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import pyarrow as pa

from adapters.sources.polling.changerows import change_batch
from adapters.sources.polling.extractor import Extractor
from adapters.sources.polling.look import look, name_stream
from adapters.sources.polling.memory import StreamMemory
from adapters.sources.polling.positions import Instants, position
from pipeline.domain.bookmarks import NO_BOOKMARKS
from pipeline.domain.change import ChangeBatch, Operation
from pipeline.domain.errors import PipelineError
from pipeline.domain.position import PHASE_SNAPSHOT, Position
from pipeline.domain.schema import StreamSchema
from pipeline.domain.stream import StreamSpec


class PollSnapshot:
    """Everything that the streams show from ``instant`` on."""

    def __init__(
        self, extractor: Extractor, specs: Mapping[str, StreamSpec], instants: Instants, *, epoch: int
    ) -> None:
        self._extractor = extractor
        self._specs = specs
        self._instant = instants.next()
        self._at = instants.by_clock(self._instant)
        self._epoch = epoch
        self._schemas: dict[str, StreamSchema] = {}
        self._memories: dict[str, StreamMemory] = {}

    def __enter__(self) -> PollSnapshot:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing is held."""

    @property
    def position(self) -> Position:
        """The instant it was opened."""
        return position(self._instant)

    @property
    def schemas(self) -> Mapping[str, StreamSchema]:
        """The schema of each stream as it is when it is first asked for: what is guessed of it follows the looks that
        were taken until then.
        """
        return {name: self._schema(name) for name in self._specs}

    @property
    def has_unique_keys(self) -> bool:
        """Whether the extractor says so of every stream."""
        return all(self._extractor.has_unique_keys(spec) for spec in self._specs.values())

    def estimate(self, stream: str) -> int | None:
        """The extractor's guess."""
        return self._extractor.estimate(self._specs[stream])

    def read(self, stream: str) -> Iterator[ChangeBatch]:
        """All rows, as one look shows that knows nothing."""
        spec, schema = self._specs[stream], self._schema(stream)
        memory = self._memories[stream] = StreamMemory.of(NO_BOOKMARKS)
        ordinal = 0
        try:
            for piece in look(self._extractor, spec, schema, memory, is_copy=True):
                shown = piece.ops != Operation.TRUNCATE  # a copy begins with an empty table anyhow
                count = int(shown.sum())
                if count:
                    yield change_batch(
                        stream,
                        schema,
                        piece.rows.filter(pa.array(shown)),
                        np.full(count, Operation.SNAPSHOT, np.int8),
                        epoch=self._epoch,
                        commit=self._instant,
                        commit_at=self._at,
                        phase=PHASE_SNAPSHOT,
                        ordinal=ordinal,
                        misfits=piece.misfits,
                    )
                    ordinal += count
        except PipelineError as error:
            name_stream(error, self._extractor, spec)
            raise

    def bookmarks(self, stream: str) -> pa.Table:
        """What the reading has shown."""
        return self._memories[stream].table()

    def _schema(self, stream: str) -> StreamSchema:
        if stream not in self._schemas:
            self._schemas[stream] = self._extractor.schema(self._specs[stream])
        return self._schemas[stream]
