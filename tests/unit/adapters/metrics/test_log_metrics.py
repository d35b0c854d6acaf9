"""Events become log lines: one each, in the past tense, with facts as keys."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from adapters.metrics.log import CompositeMetrics, LogMetrics
from pipeline.domain.counts import StreamCounts
from pipeline.domain.events import (
    BatchApplied,
    CopyAdvanced,
    CopyFinished,
    CopyStarted,
    Event,
    IdleCheckpoint,
    Retrying,
    SchemaChanged,
    TransformFinished,
)

AT = datetime(2026, 3, 1, 12, 0, 5, tzinfo=UTC)

Line = tuple[str, str, dict[str, object]]


class Lines:
    def __init__(self) -> None:
        self.written: list[Line] = []

    def debug(self, event: str, **facts: object) -> None:
        self.written.append(("debug", event, facts))

    def info(self, event: str, **facts: object) -> None:
        self.written.append(("info", event, facts))

    def warning(self, event: str, **facts: object) -> None:
        self.written.append(("warning", event, facts))

    def error(self, event: str, **facts: object) -> None:
        self.written.append(("error", event, facts))


@pytest.mark.parametrize(
    ("event", "line"),
    [
        (CopyStarted("orders", 10), ("info", "copy started", {"stream": "orders", "estimated_count": 10})),
        (CopyAdvanced("orders", 5), ("debug", "copy advanced", {"stream": "orders", "row_count": 5})),
        (
            CopyFinished("orders", 11, 1.5, quarantined_count=2),
            ("info", "copy finished", {"stream": "orders", "row_count": 11, "seconds": 1.5, "quarantined_count": 2}),
        ),
        (IdleCheckpoint("shop", AT), ("debug", "idle checkpoint written", {"group": "shop", "at": AT.isoformat()})),
        (
            SchemaChanged("orders", 2, ("column note added",)),
            ("info", "schema changed", {"stream": "orders", "schema_version": 2, "changes": ["column note added"]}),
        ),
        (
            TransformFinished(3, 9, 4.0),
            ("info", "transform finished", {"models": 3, "tests": 9, "seconds": 4.0, "error": None}),
        ),
        (
            TransformFinished(3, 9, 4.0, "2 nodes failed"),
            ("error", "transform finished", {"models": 3, "tests": 9, "seconds": 4.0, "error": "2 nodes failed"}),
        ),
        (
            Retrying("source shop", 2, 4.0, "SourceUnreachable"),
            (
                "warning",
                "retry scheduled",
                {"system": "source shop", "attempt": 2, "delay_s": 4.0, "error": "SourceUnreachable"},
            ),
        ),
        (
            BatchApplied(
                group="shop",
                load=7,
                counts={
                    "orders": StreamCounts(read_count=5, changelog_count=4, quarantined_count=1, applied_count=4),
                    "items": StreamCounts(read_count=3, changelog_count=2, covered_count=1, applied_count=2),
                },
                transaction_count=2,
                byte_count=900,
                first_commit_at=AT - timedelta(seconds=3),
                last_commit_at=AT - timedelta(seconds=2),
                at=AT,
                seconds=0.25,
            ),
            (
                "info",
                "batch applied",
                {
                    "group": "shop",
                    "load": 7,
                    "streams": ["items", "orders"],
                    "read_count": 8,
                    "changelog_count": 6,
                    "quarantined_count": 1,
                    "covered_count": 1,
                    "discarded_count": 0,
                    "transaction_count": 2,
                    "byte_count": 900,
                    "seconds": 0.25,
                    "lag_s": 2.0,
                },
            ),
        ),
    ],
    ids=lambda value: type(value).__name__,
)
def test_an_event_becomes_one_line(event: Event, line: Line) -> None:
    lines = Lines()
    LogMetrics(lines).record(event)
    assert lines.written == [line]


class Broken(Lines):
    def info(self, event: str, **facts: object) -> None:
        raise OSError("disk full")


def test_a_logger_that_fails_fails_no_load() -> None:
    metrics = LogMetrics(Broken())
    metrics.record(CopyStarted("orders", None))
    assert metrics.dropped_count == 1


class Raising:
    def record(self, event: Event) -> None:
        raise RuntimeError("no")


def test_one_broken_part_keeps_no_event_from_the_others() -> None:
    lines = Lines()
    CompositeMetrics(Raising(), LogMetrics(lines)).record(CopyAdvanced("orders", 5))
    assert lines.written == [("debug", "copy advanced", {"stream": "orders", "row_count": 5})]
