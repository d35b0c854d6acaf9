"""The numbers behind the live table."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from adapters.metrics.live import LiveMetrics, StreamView
from pipeline.domain.counts import StreamCounts
from pipeline.domain.events import BatchApplied, CopyAdvanced, CopyFinished, CopyStarted

START = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)


class Clock:
    def __init__(self) -> None:
        self.elapsed = 0.0

    def now(self) -> datetime:
        return START + timedelta(seconds=self.elapsed)

    def monotonic(self) -> float:
        return self.elapsed

    def sleep(self, seconds: float) -> None:
        self.elapsed += seconds


def batch(clock: Clock, *, changes: int, age_s: float, covered: int = 0) -> BatchApplied:
    committed = clock.now() - timedelta(seconds=age_s)
    return BatchApplied(
        group="shop",
        load=1,
        counts={"orders": StreamCounts(read_count=changes + covered, changelog_count=changes, covered_count=covered)},
        transaction_count=1,
        byte_count=1,
        first_commit_at=committed,
        last_commit_at=committed,
        at=clock.now(),
        seconds=0.1,
    )


def test_a_snapshot_shows_how_far_it_is() -> None:
    metrics = LiveMetrics(Clock())
    metrics.record(CopyStarted("orders", 100))
    metrics.record(CopyAdvanced("orders", 40))
    metrics.record(CopyStarted("items", None))
    metrics.record(CopyFinished("items", 7, 1.0, quarantined_count=2))
    assert metrics.view() == (
        StreamView("orders", copied_count=40, estimated_count=100),
        StreamView("items", copied_count=7, is_copied=True, quarantined_count=2),
    )


def test_rate_and_lag_cover_the_window_and_are_zero_when_nothing_changes() -> None:
    clock = Clock()
    metrics = LiveMetrics(clock, window_s=5.0)
    metrics.record(batch(clock, changes=10, age_s=0.5))
    clock.sleep(2)
    metrics.record(batch(clock, changes=15, age_s=0.25, covered=3))
    assert metrics.view() == (
        StreamView("orders", change_count=25, change_rate=5.0, lag_s=0.25, visible_p50_s=0.25, visible_p99_s=0.5),
    )
    clock.sleep(6)
    assert metrics.view() == (
        StreamView("orders", change_count=25, change_rate=0.0, lag_s=0.0, visible_p50_s=0.25, visible_p99_s=0.5),
    )


def test_changes_that_were_already_covered_are_no_news() -> None:
    clock = Clock()
    metrics = LiveMetrics(clock)
    metrics.record(batch(clock, changes=0, age_s=9.0, covered=4))
    assert metrics.view() == (StreamView("orders"),)


def test_percentiles_weigh_batches_by_their_changes() -> None:
    clock = Clock()
    metrics = LiveMetrics(clock)
    metrics.record(batch(clock, changes=1, age_s=8.0))
    metrics.record(batch(clock, changes=500, age_s=0.5))
    [view] = metrics.view()
    assert (view.visible_p50_s, view.visible_p99_s) == (0.5, 0.5)
