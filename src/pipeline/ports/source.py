"""The port to a system that changes come from: read by its log, or looked at again and again.

Positions, sequences and batches are domain values; how an adapter speaks to its system is its own affair.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import AbstractContextManager
from enum import Enum
from typing import Protocol

import attrs
import pyarrow as pa

from pipeline.domain.change import ChangeBatch, GroupBatch
from pipeline.domain.checkpoint import Checkpoint
from pipeline.domain.finding import Finding
from pipeline.domain.position import Position
from pipeline.domain.schema import StreamSchema
from pipeline.domain.stream import BatchLimits, StreamSpec

#: Gives the bookmarks of a stream as the warehouse keeps them, following ``bookmarks.BOOKMARK_SCHEMA``.
BookmarksOf = Callable[[str], pa.Table]


@attrs.frozen
class Relation:
    """A table, view or the like that the source has; ``reason`` says why it cannot be captured, None if it can.

    ``estimated_count`` is the source's own guess of its rows; ``byte_count`` its size on disk. ``read`` is how a stream
    of it would be read, in the words of a pipeline file, where that is not plain.
    """

    name: str
    kind: str
    schema: StreamSchema
    estimated_count: int | None = None
    byte_count: int | None = None
    reason: str | None = None
    read: Mapping[str, object] = attrs.field(factory=dict)


class LogStatus(Enum):
    """What the source has kept for this pipeline; ``NONE``: it is a source that keeps nothing for anybody."""

    NONE = "none"
    MISSING = "missing"
    READY = "ready"
    ACTIVE = "active"
    LOST = "lost"


@attrs.frozen
class LogState:
    """The log as kept for this pipeline: ``confirmed`` is up to where the source was told to forget;
    ``end`` the end of the log now; ``held_bytes`` what the source keeps on disk for us.
    """

    status: LogStatus
    confirmed: Position | None
    end: Position
    held_bytes: int | None = None
    detail: str = ""


class Snapshot(AbstractContextManager["Snapshot"], Protocol):
    """A consistent view of some streams at one position. Leaving the context releases it at once, errors or not."""

    @property
    def position(self) -> Position:
        """The consistent point: the view holds exactly the transactions whose commit does not lie after it."""
        ...

    @property
    def schemas(self) -> Mapping[str, StreamSchema]:
        """The schema of each stream at this point."""
        ...

    @property
    def has_unique_keys(self) -> bool:
        """Whether a read of a stream gives no key twice; where it may, the later row is the one that counts."""
        ...

    def estimate(self, stream: str) -> int | None:
        """A quick guess of the stream's rows, for progress only."""
        ...

    def read(self, stream: str) -> Iterator[ChangeBatch]:
        """All rows of a stream as ``SNAPSHOT`` changes in batches of bounded memory, with sequences of phase 0,
        commit = the consistent point and ordinals counting up. ``commit_at`` is the instant of the snapshot.
        An empty stream yields nothing. May be called again for the same rows, from any thread, one at a time.
        """
        ...

    def bookmarks(self, stream: str) -> pa.Table | None:
        """What reading on from the copy needs to know, after ``read`` has come to its end: all of the stream's
        bookmarks, in place of those before. None for a log, which remembers by itself.
        """
        ...


class LogReader(AbstractContextManager["LogReader"], Protocol):
    """Reads committed changes in order. Keepalives and replies to the server go on in the background between calls."""

    def next(self, timeout_s: float) -> GroupBatch | None:
        """The next whole transactions after the last batch, once a limit is reached or the source has no more just
        now; an empty batch where only the position moved; None when nothing happened within ``timeout_s``.

        Every transaction is in exactly one batch, across all its streams. Raises ``SourceUnreachable`` when the
        connection is lost (also silently lost), ``LogLost`` when the log is gone, ``SchemaRefused`` for a relation
        that can no longer be captured (key dropped). A batch stays readable until it is acknowledged, also while
        later ones are read.
        """
        ...

    def acknowledge(self, position: Position) -> None:
        """Tell the source that everything up to ``position`` is durable and may be forgotten (P2).

        Called only with positions of checkpoints that are committed. Nothing later is ever confirmed, whatever
        keepalives say. Returns at once; the message goes out in the background.
        """
        ...


class Source(Protocol):
    """The source of one group of streams, with or without a log. Built without connecting; connects on first use.

    A source without a log keeps nothing for the pipeline: what it has to remember are bookmarks, kept in the warehouse.
    Its positions are instants of looks: what it showed then is loaded. Whether it can see deletes, and what is between
    two looks, is said by its adapter.

    All methods may raise ``SourceUnreachable`` (retry helps) and ``SourceRejected`` (someone has to change something).
    """

    @property
    def name(self) -> str:
        """The source's name, also the name of its group."""
        ...

    def discover(self) -> tuple[Relation, ...]:
        """Every relation that the role can see, in order of name."""
        ...

    def inspect(self, streams: Collection[StreamSpec]) -> tuple[Finding, ...]:
        """Everything that would stop or harm capturing these streams, and what is fine, without changing anything."""
        ...

    def schemas(self, streams: Collection[StreamSpec]) -> Mapping[str, StreamSchema]:
        """The current schema of each stream. Raises ``SourceRejected`` naming every stream that cannot be captured."""
        ...

    def preview(self, stream: StreamSpec, *, limit: int) -> pa.Table:
        """The first rows as a copy would read them now, at most ``limit``: the data columns of the stream's schema.
        Leaves no trace at the source.
        """
        ...

    def log(self) -> LogState:
        """What the source keeps for this pipeline."""
        ...

    def check(self, checkpoint: Checkpoint) -> LogState:
        """The log state, if reading can go on from ``checkpoint``; else ``LogLost`` naming which case it is (missing,
        invalidated, ahead of the checkpoint, server older than the checkpoint) and what to do.
        """
        ...

    def prepare(self, streams: Collection[StreamSpec]) -> None:
        """Bring publication and the like in line with the streams. Idempotent; changes no data. Raises
        ``SourceRejected`` before changing anything if a stream could not be captured safely.
        """
        ...

    def begin(self, streams: Collection[StreamSpec], *, epoch: int) -> Snapshot:
        """Start keeping the log for this pipeline (create the slot) and open the snapshot it starts from; its
        sequences carry ``epoch``.

        Raises ``SourceRejected`` if the log is already kept.
        """
        ...

    def snapshot(self, streams: Collection[StreamSpec], *, epoch: int) -> Snapshot:
        """A snapshot at some point of the running log, for streams added or copied again, leaving the log as it is."""
        ...

    def forget(self) -> None:
        """Stop keeping the log (drop the slot), if it is kept and nobody reads it. Idempotent."""
        ...

    def mark(self) -> Position:
        """The end of the log now, made sure to be passed by the reader soon even if nothing else is written."""
        ...

    def read(
        self,
        checkpoint: Checkpoint,
        streams: Mapping[str, tuple[StreamSpec, Position]],
        *,
        limits: BatchLimits,
        up_to: Position | None = None,
        bookmarks: BookmarksOf | None = None,
    ) -> LogReader:
        """Read on from ``checkpoint``: of each stream the changes committed after its own consistent point (given).

        With ``up_to``, no transaction whose commit lies after it is ever returned, and the reader's last batch ends
        at exactly ``up_to``. ``bookmarks`` is asked within this call only, by a source that has any. Only one reader
        of a log at a time gets in; while another holds it this one waits with backoff, then raises ``SourceRejected``.
        """
        ...

    def close(self) -> None:
        """Close all connections. Safe to call twice."""
        ...
