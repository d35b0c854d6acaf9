"""Cuts what the receiver takes in into batches of whole transactions and has them decoded.

A transaction that would not fit in memory is decoded as it arrives and waits on disk (C1, P11).
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import attrs

from adapters.sources.postgres.pgoutput import Decoded, Decoder
from adapters.sources.postgres.receiver import EPOCH_2000, Receiver
from adapters.sources.postgres.segments import Commit, Progress, Segment
from adapters.sources.postgres.slot import lsn_of, position
from adapters.sources.postgres.spill import Spill, schemas_of
from pipeline.domain.change import ChangeBatch, GroupBatch
from pipeline.domain.position import Position
from pipeline.domain.stream import BatchLimits

#: A stream that pauses for so long has nothing more just now.
QUIET_S = 0.005

#: How long a call may go on taking in what is there already.
_GRACE_S = 1.0

#: How much is decoded at once.
_SLICE_BYTES = 16 * 1024 * 1024


@attrs.define
class _Whole:
    """Whole transactions collected for the next batch."""

    segments: list[Segment] = attrs.field(factory=list)
    row_count: int = 0
    byte_count: int = 0
    transaction_count: int = 0
    first: Commit | None = None
    last: Commit | None = None
    since: float = 0.0

    def add(self, segments: list[Segment], commit: Commit) -> None:
        """Take in one more transaction."""
        if self.first is None:
            self.first, self.since = commit, time.monotonic()
        self.last = commit
        self.transaction_count += 1
        self.segments += segments
        self.row_count += sum(segment.row_count for segment in segments)
        self.byte_count += sum(segment.byte_count for segment in segments)


@attrs.define
class _Spilling:
    """A transaction that is on its way to disk."""

    spill: Spill
    row_count: int = 0
    byte_count: int = 0
    covered: Counter[str] = attrs.field(factory=Counter)


class PostgresReader:
    """The port's ``LogReader``."""

    def __init__(
        self,
        receiver: Receiver,
        decoder: Decoder,
        *,
        after: Position,
        limits: BatchLimits,
        up_to: Position | None,
        work_folder: Path,
        on_close: Callable[[], None],
    ) -> None:
        self._receiver = receiver
        self._decoder = decoder
        self._after = lsn_of(after)
        self._up_to = None if up_to is None else lsn_of(up_to)
        self._limits = limits
        self._work_folder = work_folder
        self._on_close = on_close
        self._whole = _Whole()
        self._open: list[Segment] = []
        self._open_bytes = 0
        self._spilling: _Spilling | None = None
        self._progress = self._after
        self._is_past = False
        self._given: list[tuple[int, Spill]] = []  # on disk until acknowledged, by the end of their transactions
        self._is_closed = False

    def __enter__(self) -> PostgresReader:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Report the last acknowledgement, end the stream, remove files. Safe to call twice."""
        if self._is_closed:
            return
        self._is_closed = True
        try:
            self._receiver.close()
            self._on_close()
        finally:
            self._forget()
            if self._spilling is not None:
                self._spilling.spill.remove()

    def acknowledge(self, position: Position) -> None:
        """Have the server told, in the background, that everything up to ``position`` is durable."""
        self._receiver.confirm(lsn_of(position))
        self._forget(lsn_of(position))

    def next(self, timeout_s: float) -> GroupBatch | None:
        """The next batch; see the port. Its files, if any, are kept until it is acknowledged."""
        deadline = time.monotonic() + timeout_s
        while not self._is_finished:
            if self._is_past or self._is_full:
                return self._batch()
            item = self._receiver.take(self._patience(deadline))
            if item is None:
                if self._whole.last is not None:
                    return self._batch()
                if time.monotonic() >= deadline:
                    return self._batch() if self._progress > self._after else None
                continue
            done = self._take(item)
            if done is not None:
                return done
            if self._whole.last is None and time.monotonic() > deadline + _GRACE_S:
                return None  # in the middle of a long transaction
        return None

    @property
    def _is_finished(self) -> bool:
        return self._up_to is not None and self._after >= self._up_to

    @property
    def _is_full(self) -> bool:
        whole = self._whole
        if whole.last is None:
            return False
        return (
            whole.row_count >= self._limits.rows
            or whole.byte_count >= self._limits.bytes
            or time.monotonic() - whole.since >= self._limits.age_s
            # What is open has to go to disk, and then is a batch of its own.
            or self._open_bytes > self._limits.spill_bytes
        )

    def _patience(self, deadline: float) -> float:
        if self._whole.last is not None:
            return QUIET_S
        return max(deadline - time.monotonic(), 0.0)

    def _take(self, item: Segment | Progress) -> GroupBatch | None:
        if isinstance(item, Progress):
            self._progress = max(self._progress, item.lsn)
            self._is_past = self._reaches(self._progress)
            return None
        if item.first is not None and self._reaches(item.first):
            self._is_past = True
            return None
        self._open.append(item)
        self._open_bytes += item.byte_count
        if self._spilling is not None or (self._whole.last is None and self._open_bytes > self._limits.spill_bytes):
            self._spill(is_whole=item.commit is not None)
        if item.commit is None:
            return None
        self._progress = item.commit.end
        self._is_past = self._reaches(self._progress)
        if self._spilling is not None:
            return self._spilled(self._spilling, item.commit)
        self._whole.add(self._open, item.commit)
        self._open, self._open_bytes = [], 0
        return None

    def _reaches(self, lsn: int) -> bool:
        """Whether everything that lies before ``up_to`` has been sent once the log is sent up to ``lsn``."""
        return self._up_to is not None and lsn >= self._up_to

    def _batch(self) -> GroupBatch:
        whole, self._whole = self._whole, _Whole()
        pieces: list[ChangeBatch] = []
        covered: Counter[str] = Counter()
        row_count = 0
        for decoded in self._decoded(whole.segments):
            pieces += decoded.pieces
            row_count += decoded.row_count
            covered.update(decoded.covered_counts)
        return self._advance(
            GroupBatch(
                after=position(self._after),
                up_to=self._end(),
                schemas=schemas_of([(piece.stream, piece.schema) for piece in pieces]),
                pieces=tuple(pieces),
                transaction_count=whole.transaction_count,
                covered_counts=covered,
                first_commit_at=_instant(whole.first),
                last_commit_at=_instant(whole.last),
                row_count=row_count,
                byte_count=whole.byte_count,
            )
        )

    def _end(self) -> Position:
        """Where the batch ends: at ``up_to`` once all before it has come, else as far as is known."""
        if self._up_to is None:
            return position(self._progress)
        return position(self._up_to if self._is_past else min(self._progress, self._up_to))

    def _advance(self, batch: GroupBatch) -> GroupBatch:
        """Move on; the log that a batch without changes passed over may be far more than what was sent of it."""
        passed = lsn_of(batch.up_to) - self._after
        self._after = lsn_of(batch.up_to)
        return attrs.evolve(batch, byte_count=passed) if batch.is_empty else batch

    def _decoded(self, segments: list[Segment]) -> list[Decoded]:
        """Decode slice by slice, letting go of the frames as they are used."""
        segments.reverse()
        done: list[Decoded] = []
        while segments:
            frames: list[bytes] = []
            byte_count = 0
            while segments and byte_count < _SLICE_BYTES:
                segment = segments.pop()
                frames += segment.frames
                byte_count += segment.byte_count
            done.append(self._decoder.feed(frames))
        return done

    def _spill(self, *, is_whole: bool) -> None:
        if self._spilling is None:
            self._spilling = _Spilling(Spill(self._work_folder))
        elif self._open_bytes < _SLICE_BYTES and not is_whole:
            return
        segments, self._open, self._open_bytes = self._open, [], 0
        self._spilling.byte_count += sum(segment.byte_count for segment in segments)
        while segments:
            count = next(
                (index for index in range(1, len(segments)) if _size(segments[:index]) >= _SLICE_BYTES), len(segments)
            )
            for decoded in self._decoded(segments[:count]):
                self._spilling.row_count += decoded.row_count
                self._spilling.covered.update(decoded.covered_counts)
                for piece in decoded.pieces:
                    self._spilling.spill.add(piece)
            del segments[:count]

    def _spilled(self, spilling: _Spilling, commit: Commit) -> GroupBatch:
        self._spilling = None
        self._given.append((commit.end, spilling.spill))
        return self._advance(
            GroupBatch(
                after=position(self._after),
                up_to=self._end(),
                schemas=spilling.spill.schemas(),
                pieces=spilling.spill,
                transaction_count=1,
                covered_counts=spilling.covered,
                first_commit_at=_instant(commit),
                last_commit_at=_instant(commit),
                row_count=spilling.row_count,
                byte_count=spilling.byte_count,
            )
        )

    def _forget(self, up_to: int | None = None) -> None:
        """Remove the files of batches that end at or before ``up_to`` (None: of all)."""
        done = [(end, spill) for end, spill in self._given if up_to is None or end <= up_to]
        for given in done:
            self._given.remove(given)
            given[1].remove()


def _instant(commit: Commit | None) -> float | None:
    """Seconds since 1970."""
    return None if commit is None else commit.at_us / 1_000_000 + EPOCH_2000


def _size(segments: Sequence[Segment]) -> int:
    return sum(segment.byte_count for segment in segments)
