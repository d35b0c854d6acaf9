"""The port's ``LogReader`` over looks: the changes that each look finds, as batches that each count as progress."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator

import attrs
import pyarrow as pa
import pyarrow.compute as pc

from adapters.sources.polling.changerows import change_batch
from adapters.sources.polling.extractor import Extractor, schema_of
from adapters.sources.polling.look import Piece, look, name_stream
from adapters.sources.polling.memory import StreamMemory
from adapters.sources.polling.positions import Instants, instant_of, position
from adapters.sources.polling.spool import Spool
from pipeline.domain.bookmarks import latest
from pipeline.domain.change import ChangeBatch, GroupBatch
from pipeline.domain.detection import ROW
from pipeline.domain.errors import PipelineError, SourceError
from pipeline.domain.position import PHASE_LOG, Position
from pipeline.domain.schema import StreamSchema
from pipeline.domain.stream import BatchLimits, StreamSpec

#: How often a look is read whose pages move while they are read.
_READINGS = 3


@attrs.define
class _Gathered:
    """Changes that become one batch."""

    pieces: Spool[ChangeBatch]
    bookmarks: list[pa.Table] = attrs.field(factory=list)
    row_count: int = 0
    byte_count: int = 0
    read_bytes: int = 0

    def empty(self, limits: BatchLimits) -> None:
        """Keep nothing but bookmarks that are of no row."""
        self.pieces = Spool(limits.spill_bytes)
        self.row_count = self.byte_count = 0
        others = [told.filter(pc.invert(pc.starts_with(told["name"], pattern=ROW))) for told in self.bookmarks]
        self.bookmarks = [told for told in others if told.num_rows]


class PollReader:
    """Looks at one stream, at once and then every ``poll_s`` seconds, or once if it is to end ``up_to`` somewhere."""

    def __init__(
        self,
        extractor: Extractor,
        spec: StreamSpec,
        memory: StreamMemory,
        instants: Instants,
        *,
        epoch: int,
        after: Position,
        since: Position,
        limits: BatchLimits,
        up_to: Position | None,
    ) -> None:
        self._extractor = extractor
        self._spec = spec
        self._memory = memory
        self._instants = instants
        self._epoch = epoch
        self._after = after
        self._at = max(instant_of(after), instant_of(since))
        self._limits = limits
        self._up_to = up_to
        self._due = time.monotonic()
        self._batches: Generator[GroupBatch | None] | None = None

    def __enter__(self) -> PollReader:
        return self

    def __exit__(self, *_: object) -> None:
        if self._batches is not None:
            self._batches.close()  # and with it what the extractor holds
        self._batches = None

    def next(self, timeout_s: float) -> GroupBatch | None:
        """The next batch of a look, or of the next one once it is due; None also while a look takes longer."""
        deadline = time.monotonic() + timeout_s
        if self._batches is None:
            if self._up_to is not None and self._after.covers(self._up_to):
                return None
            left_s = self._due - time.monotonic()
            if left_s > timeout_s:
                time.sleep(timeout_s)
                return None
            time.sleep(max(left_s, 0.0))
            self._batches = self._look()
        for batch in self._batches:
            if batch is not None:
                self._after = batch.up_to
                return batch
            if time.monotonic() >= deadline:
                return None  # a stop is heeded in the middle of a long look (P9)
        self._batches = None
        return self.next(max(deadline - time.monotonic(), 0.0))

    def acknowledge(self, position: Position) -> None:
        """Nobody keeps anything for us."""

    def _look(self) -> Generator[GroupBatch | None]:
        """The batches of a look, None where there is none yet."""
        end = self._instants.next() if self._up_to is None else instant_of(self._up_to)
        try:
            schema = schema_of(self._extractor, self._spec, self._memory.extractors)
            gathered = _Gathered(Spool(self._limits.spill_bytes))
            for piece in self._pieces(schema):
                is_full = gathered.row_count >= self._limits.rows or gathered.byte_count >= self._limits.bytes
                if is_full and not piece.is_whole and (piece.rows.num_rows or piece.bookmarks.num_rows):
                    yield self._batch(gathered, schema, end, is_last=False)
                    gathered = _Gathered(Spool(self._limits.spill_bytes))
                self._gather(gathered, piece, schema)
                yield None
            yield self._batch(gathered, schema, end, is_last=True)
        except PipelineError as error:
            name_stream(error, self._extractor, self._spec)
            raise
        finally:
            self._due = time.monotonic() + self._extractor.poll_s

    def _pieces(self, schema: StreamSchema) -> Iterator[Piece]:
        """What a look finds; one whose pages moved meanwhile is repeated a few times."""
        for _ in range(_READINGS - 1):
            try:
                yield from look(self._extractor, self._spec, schema, self._memory)
            except SourceError as error:
                if error.facts.get("case") != "repeated":
                    raise
                self._memory.rows.settle()
            else:
                return
        yield from look(self._extractor, self._spec, schema, self._memory)

    def _gather(self, gathered: _Gathered, piece: Piece, schema: StreamSchema) -> None:
        gathered.read_bytes += piece.byte_count
        if piece.is_known:
            gathered.empty(self._limits)
        if piece.bookmarks.num_rows:
            gathered.bookmarks.append(piece.bookmarks)
        if not piece.rows.num_rows:
            return
        changes = change_batch(
            self._spec.name,
            schema,
            piece.rows,
            piece.ops,
            epoch=self._epoch,
            commit=self._at + 1,
            commit_at=self._instants.by_clock(self._at + 1),
            phase=PHASE_LOG,
            ordinal=gathered.row_count,
            misfits=piece.misfits,
        )
        gathered.pieces.append(changes)
        gathered.row_count += changes.row_count
        gathered.byte_count += changes.table.nbytes

    def _batch(self, gathered: _Gathered, schema: StreamSchema, end: int, *, is_last: bool) -> GroupBatch:
        self._at += 1
        if self._at >= end:
            raise SourceError(
                "one look has more batches than fit before the next one",
                hint="Raise batch.rows, or look less often.",
            )
        commit_at = self._instants.by_clock(self._at) / 1e6
        if is_last:
            self._at = end
        after, name = self._after, self._spec.name
        return GroupBatch(
            after=after,
            up_to=position(self._at),
            schemas={name: (schema,)} if len(gathered.pieces) else {},
            pieces=gathered.pieces,
            transaction_count=1 if len(gathered.pieces) else 0,
            first_commit_at=commit_at if len(gathered.pieces) else None,
            last_commit_at=commit_at if len(gathered.pieces) else None,
            row_count=gathered.row_count,
            byte_count=gathered.read_bytes,
            bookmarks={name: latest(gathered.bookmarks)} if gathered.bookmarks else {},
        )
