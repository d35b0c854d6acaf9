"""The state behind a live table: what each stream has loaded, how fast, and how far behind it is.

Drawing it is done in entrypoints; this module only keeps numbers, safe to use from several threads.
"""

from __future__ import annotations

import threading
from collections import deque

import attrs

from pipeline.domain.counts import StreamCounts
from pipeline.domain.events import BatchApplied, CopyAdvanced, CopyFinished, CopyStarted, Event
from pipeline.ports.clock import Clock

#: Batches that percentiles are taken over; about half an hour of steady streaming.
_SAMPLE_COUNT = 4_096


@attrs.frozen
class StreamView:
    """One stream at one moment.

    ``change_rate`` is changes a second over the window. ``lag_s`` is how far the last batch in the window ended behind
    the source, 0 once a window has passed without a change. The percentiles span from commit at the source to visible
    in the warehouse, None before the first batch.
    """

    stream: str
    copied_count: int = 0
    estimated_count: int | None = None
    is_copied: bool = False
    change_count: int = 0
    quarantined_count: int = 0
    change_rate: float = 0.0
    lag_s: float = 0.0
    visible_p50_s: float | None = None
    visible_p99_s: float | None = None


@attrs.define
class _Stream:
    copied_count: int = 0
    estimated_count: int | None = None
    is_copied: bool = False
    set_apart_count: int = 0
    counts: StreamCounts = attrs.field(factory=StreamCounts)
    lag_s: float = 0.0
    recent: deque[tuple[float, int]] = attrs.field(factory=deque)
    latencies: deque[tuple[float, int]] = attrs.field(factory=lambda: deque(maxlen=_SAMPLE_COUNT))


class LiveMetrics:
    """Collects events; ``view`` gives the numbers of each stream, in the order in which they appeared."""

    def __init__(self, clock: Clock, *, window_s: float = 5.0) -> None:
        self._clock = clock
        self._window_s = window_s
        self._lock = threading.Lock()
        self._streams: dict[str, _Stream] = {}

    def record(self, event: Event) -> None:
        """Take the event's numbers over."""
        with self._lock:
            match event:
                case CopyStarted():
                    self._stream(event.stream).estimated_count = event.estimated_count
                case CopyAdvanced():
                    self._stream(event.stream).copied_count = event.row_count
                case CopyFinished():
                    stream = self._stream(event.stream)
                    stream.copied_count, stream.is_copied = event.row_count, True
                    stream.set_apart_count = event.quarantined_count
                case BatchApplied():
                    self._apply(event)
                case _:
                    pass

    def view(self) -> tuple[StreamView, ...]:
        """Every stream's numbers now."""
        with self._lock:
            now = self._clock.monotonic()
            return tuple(self._view(name, stream, now) for name, stream in self._streams.items())

    def _stream(self, name: str) -> _Stream:
        return self._streams.setdefault(name, _Stream())

    def _apply(self, event: BatchApplied) -> None:
        now = self._clock.monotonic()
        for name, counts in event.counts.items():
            stream = self._stream(name)
            stream.counts += counts
            change_count = counts.read_count - counts.covered_count
            if not change_count:
                continue
            stream.recent.append((now, change_count))
            if event.last_commit_at is None:
                continue
            stream.lag_s = max((event.at - event.last_commit_at).total_seconds(), 0.0)
            first_commit_at = event.first_commit_at or event.last_commit_at
            # Commits are spread over the batch: its oldest and newest bound what each change waited.
            for commit_at in (first_commit_at, event.last_commit_at):
                stream.latencies.append(((event.at - commit_at).total_seconds(), max(change_count // 2, 1)))

    def _view(self, name: str, stream: _Stream, now: float) -> StreamView:
        while stream.recent and stream.recent[0][0] < now - self._window_s:
            stream.recent.popleft()
        return StreamView(
            stream=name,
            copied_count=stream.copied_count,
            estimated_count=stream.estimated_count,
            is_copied=stream.is_copied,
            change_count=stream.counts.read_count - stream.counts.covered_count,
            quarantined_count=stream.set_apart_count + stream.counts.quarantined_count,
            change_rate=sum(count for _, count in stream.recent) / self._window_s,
            lag_s=stream.lag_s if stream.recent else 0.0,
            visible_p50_s=_percentile(stream.latencies, 0.50),
            visible_p99_s=_percentile(stream.latencies, 0.99),
        )


def _percentile(samples: deque[tuple[float, int]], share: float) -> float | None:
    """The value that ``share`` of the weight lies at or below."""
    if not samples:
        return None
    ordered = sorted(samples)
    goal = share * sum(weight for _, weight in ordered)
    passed = 0
    for value, weight in ordered:
        passed += weight
        if passed >= goal:
            return value
    return ordered[-1][0]
