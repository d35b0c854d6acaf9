"""The port's ``Snapshot`` over an extraction of everything: as consistent as the source itself is while it is read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import pyarrow as pa

from adapters.sources.polling.changerows import change_batch
from adapters.sources.polling.extractor import Extractor
from adapters.sources.polling.look import StreamMemory, look
from adapters.sources.polling.positions import position
from pipeline.domain.bookmarks import NO_BOOKMARKS
from pipeline.domain.change import ChangeBatch, Operation
from pipeline.domain.errors import PipelineError
from pipeline.domain.position import PHASE_SNAPSHOT, Position
from pipeline.domain.schema import StreamSchema
from pipeline.domain.stream import StreamSpec


class PollSnapshot:
    """Everything that the streams show from ``instant`` on."""

    def __init__(self, extractor: Extractor, specs: Mapping[str, StreamSpec], *, instant: int, epoch: int) -> None:
        self._extractor = extractor
        self._specs = specs
        self._instant = instant
        self._epoch = epoch
        self._schemas = {name: extractor.schema(spec) for name, spec in specs.items()}
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
        """The schema of each stream."""
        return self._schemas

    @property
    def has_unique_keys(self) -> bool:
        """Whether the extractor says so of every stream."""
        return all(self._extractor.has_unique_keys(spec) for spec in self._specs.values())

    def estimate(self, stream: str) -> int | None:
        """The extractor's guess."""
        return self._extractor.estimate(self._specs[stream])

    def read(self, stream: str) -> Iterator[ChangeBatch]:
        """All rows, as one look shows that knows nothing."""
        spec, schema = self._specs[stream], self._schemas[stream]
        memory = self._memories[stream] = StreamMemory.of(NO_BOOKMARKS)
        ordinal = 0
        try:
            for piece in look(self._extractor, spec, schema, memory):
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
                        phase=PHASE_SNAPSHOT,
                        ordinal=ordinal,
                        misfits=piece.misfits,
                    )
                    ordinal += count
        except PipelineError as error:
            error.where = error.where or f"source {self._extractor.name}, stream {stream}"
            raise

    def bookmarks(self, stream: str) -> pa.Table:
        """What the reading has shown."""
        return self._memories[stream].table()
