"""Decodes PostgreSQL's logical decoding output (pgoutput protocol version 4, text format) into change batches.

Frames come from the connection, the meaning of relations from ``resolve``; cutting batches is the reader's. See
"Logical Streaming Replication Protocol" in the PostgreSQL documentation. Streaming of open transactions and
two-phase commit are not asked for, so their messages are refused.
"""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Callable, Sequence

import attrs
import numpy as np

from adapters.sources.postgres.changes import Stretch, row_changes, truncates
from adapters.sources.postgres.frames import Frames, chunked, malformed
from adapters.sources.postgres.messages import (
    POSTGRES_EPOCH,
    LogicalMessage,
    read_logical,
    read_relation,
    read_truncate,
)
from adapters.sources.postgres.pieces import Part, in_order
from adapters.sources.postgres.relation import RelationMessage, TrackedRelation
from pipeline.domain.change import ChangeBatch

#: What is decoded at once. Offsets into the joined frames are 32 bits wide, and one message is at most 1 GiB; beyond
#: some megabytes the walk leaves the processor's caches.
CHUNK_BYTES = 64 * 1024 * 1024
CHUNK_FRAMES = 32 * 1024

_BEGIN, _COMMIT, _RELATION, _TRUNCATE, _MESSAGE = b"BCRTM"
_KNOWN = np.zeros(256, dtype=bool)
_KNOWN[list(b"BCRTMIUDOY")] = True
_IS_ROW = np.zeros(256, dtype=bool)
_IS_ROW[list(b"IUD")] = True

Resolve = Callable[[RelationMessage], TrackedRelation | None]


@attrs.frozen(eq=False)
class Decoded:
    """What some frames held.

    ``pieces`` are the changes, those of one stream in order. ``commit_lsn``, ``end_lsn`` (unsigned 64-bit) and
    ``commit_at`` (microseconds since 1970) describe the transactions that ended, in order; ``open`` tells that one
    has begun and not ended. ``row_count`` counts the rows in ``pieces``, ``covered_counts`` those left out per stream
    since they lie before its consistent point.
    """

    pieces: tuple[ChangeBatch, ...]
    commit_lsn: np.ndarray
    end_lsn: np.ndarray
    commit_at: np.ndarray
    open: bool
    covered_counts: dict[str, int]
    row_count: int
    messages: tuple[LogicalMessage, ...]


@attrs.frozen(eq=False)
class _Transactions:
    """Of each frame: its transaction's commit LSN and time, and the changes before it, in it and altogether."""

    commit_lsn: np.ndarray
    commit_at: np.ndarray
    ordinal: np.ndarray
    place: np.ndarray


class Decoder:
    """Reads frames in the order of the log; keeps the open transaction and the relations from feed to feed.

    ``resolve`` is called for every Relation message and says what the relation means from there on, None that its
    changes are not wanted. Sequences carry ``epoch``, the commit LSN, phase 1 and the number of the change within its
    transaction, changes of all relations counted, so that they are the same however the frames are fed.
    """

    def __init__(self, *, epoch: int, resolve: Resolve) -> None:
        self._epoch = epoch
        self._resolve = resolve
        self._relations: dict[int, TrackedRelation | None] = {}
        self._commit_lsn = 0
        self._commit_at = 0
        self._ordinal = 0
        self._is_open = False

    def feed(self, frames: Sequence[bytes]) -> Decoded:
        """Decode frames (XLogData with their 25-byte header), which may begin and end within a transaction.

        Raises ``SourceError`` where the log is not as the protocol says; the decoder is of no use afterwards.
        """
        try:
            parts = [self._decode(chunk) for chunk in chunked(frames, max_bytes=CHUNK_BYTES, max_count=CHUNK_FRAMES)]
        except (IndexError, struct.error) as error:
            raise malformed("a message is shorter than it says") from error
        if len(parts) == 1:
            return parts[0]
        covered: Counter[str] = Counter()
        for part in parts:
            covered.update(part.covered_counts)
        none = np.empty(0, dtype=np.uint64)
        return Decoded(
            pieces=tuple(piece for part in parts for piece in part.pieces),
            commit_lsn=np.concatenate([none, *(part.commit_lsn for part in parts)]),
            end_lsn=np.concatenate([none, *(part.end_lsn for part in parts)]),
            commit_at=np.concatenate([none.astype(np.int64), *(part.commit_at for part in parts)]),
            open=self._is_open,
            covered_counts=covered,
            row_count=sum(part.row_count for part in parts),
            messages=tuple(message for part in parts for message in part.messages),
        )

    def _decode(self, frames: Frames) -> Decoded:
        if not _KNOWN[frames.kinds].all():
            raise malformed("a message is of a kind that was not asked for")
        emptied = {
            index: read_truncate(frames.message(index)) for index in np.flatnonzero(frames.kinds == _TRUNCATE).tolist()
        }
        transactions = self._transactions(frames, emptied)
        covered: Counter[str] = Counter()
        parts: list[Part] = []
        for stretch, is_rows in self._stretches(frames, transactions, emptied):
            wanted = np.flatnonzero(stretch.commit_lsn >= np.uint64(stretch.tracked.since))
            if skipped := len(stretch.frame) - len(wanted):
                covered[stretch.tracked.stream] += skipped
                stretch = stretch.at(wanted)
            if len(wanted):
                read = (
                    row_changes(frames, stretch, epoch=self._epoch)
                    if is_rows
                    else truncates(stretch, emptied, epoch=self._epoch)
                )
                parts.append(Part(read, stretch.place))
        pieces = in_order(parts)
        commits = frames.starts[frames.kinds == _COMMIT]
        return Decoded(
            pieces=pieces,
            commit_lsn=frames.longs(commits + 2),
            end_lsn=frames.longs(commits + 10),
            commit_at=frames.longs(commits + 18).astype(np.int64) + POSTGRES_EPOCH,
            open=self._is_open,
            covered_counts=covered,
            row_count=sum(piece.row_count for piece in pieces),
            messages=tuple(
                read_logical(frames.message(index)) for index in np.flatnonzero(frames.kinds == _MESSAGE).tolist()
            ),
        )

    def _transactions(self, frames: Frames, emptied: dict[int, tuple[int, ...]]) -> _Transactions:
        """Give every frame its transaction, number the changes, and remember the transaction still open."""
        is_begin = frames.kinds == _BEGIN
        begins = np.flatnonzero(is_begin)
        at = frames.starts[begins]
        commit_lsn = np.concatenate([np.array([self._commit_lsn], dtype=np.uint64), frames.longs(at + 1)])
        commit_at = np.concatenate([[self._commit_at], frames.longs(at + 9).astype(np.int64) + POSTGRES_EPOCH])
        changes = _IS_ROW[frames.kinds].astype(np.int64)
        for index, oids in emptied.items():
            changes[index] = len(oids)
        running = np.cumsum(changes)
        place = running - changes
        first = np.concatenate([[-self._ordinal], place[begins]])
        transaction = np.cumsum(is_begin)
        edges = np.flatnonzero(is_begin | (frames.kinds == _COMMIT))
        if len(edges):
            self._is_open = bool(is_begin[edges[-1]])
        self._commit_lsn, self._commit_at = int(commit_lsn[-1]), int(commit_at[-1])
        self._ordinal = int(running[-1] - first[-1])
        return _Transactions(
            commit_lsn=commit_lsn[transaction],
            commit_at=commit_at[transaction],
            ordinal=place - first[transaction],
            place=place,
        )

    def _stretches(
        self, frames: Frames, transactions: _Transactions, emptied: dict[int, tuple[int, ...]]
    ) -> list[tuple[Stretch, bool]]:
        """The changes of each wanted relation, a stretch from one description of it to the next."""
        described = self._describe(frames)
        rows = np.flatnonzero(_IS_ROW[frames.kinds])
        oids = frames.words(frames.starts[rows] + 1)
        present = np.unique(oids)
        stretches: list[tuple[Stretch, bool]] = []
        for oid in present.tolist():
            mine = rows if len(present) == 1 else rows[oids == oid]
            none = np.zeros(len(mine), dtype=np.int64)
            stretches += [(stretch, True) for stretch in _split(mine, none, described.get(oid), transactions)]
        truncated: dict[int, list[tuple[int, int]]] = {}
        for index, relations in emptied.items():
            for number, oid in enumerate(relations):
                truncated.setdefault(oid, []).append((index, number))
        for oid, places in truncated.items():
            frame, number = np.array(places, dtype=np.int64).T
            stretches += [(stretch, False) for stretch in _split(frame, number, described.get(oid), transactions)]
        return stretches

    def _describe(self, frames: Frames) -> dict[int, list[tuple[int, TrackedRelation | None]]]:
        """Of each relation, from which frame on it means what; and remember the last for the next feed."""
        described = {oid: [(0, tracked)] for oid, tracked in self._relations.items()}
        for index in np.flatnonzero(frames.kinds == _RELATION).tolist():
            message = read_relation(frames.message(index))
            tracked = self._resolve(message)
            known = described.setdefault(message.oid, [])
            if not known or known[-1][1] != tracked:
                known.append((index, tracked))
            self._relations[message.oid] = tracked
        return described


def _split(
    frame: np.ndarray,
    number: np.ndarray,
    described: list[tuple[int, TrackedRelation | None]] | None,
    transactions: _Transactions,
) -> list[Stretch]:
    if not described or frame[0] < described[0][0]:
        raise malformed("a change comes before the description of its relation")
    stretches = []
    bounds = [*np.searchsorted(frame, [index for index, _ in described]).tolist(), len(frame)]
    for (_, tracked), begin, end in zip(described, bounds[:-1], bounds[1:], strict=True):
        if tracked is None or begin == end:
            continue
        chosen = frame[begin:end]
        stretches.append(
            Stretch(
                tracked,
                frame=chosen,
                commit_lsn=transactions.commit_lsn[chosen],
                commit_at=transactions.commit_at[chosen],
                ordinal=transactions.ordinal[chosen] + number[begin:end],
                place=transactions.place[chosen] + number[begin:end],
            )
        )
    return stretches
