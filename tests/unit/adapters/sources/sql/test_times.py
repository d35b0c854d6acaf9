"""Dates and times kept as text."""

from __future__ import annotations

import datetime as dt

import pyarrow as pa
import pytest

from adapters.sources.sql import times

NAIVE, ZONED = pa.timestamp("us"), pa.timestamp("us", "UTC")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("2026-01-01 10:00:00", dt.datetime(2026, 1, 1, 10)),
        ("2026-01-01T10:00:00.5", dt.datetime(2026, 1, 1, 10, 0, 0, 500_000)),
        ("2026-01-01T10:00:00.123456000", dt.datetime(2026, 1, 1, 10, 0, 0, 123_456)),
        ("2026-01-01 10:00", dt.datetime(2026, 1, 1, 10)),
        ("2026-01-01", dt.datetime(2026, 1, 1)),
        ("2026-01-01T10:00:00Z", dt.datetime(2026, 1, 1, 10)),
        ("2026-01-01T10:00:00+02:00", dt.datetime(2026, 1, 1, 8)),
        (None, None),
    ],
)
@pytest.mark.parametrize("others", [[], ["2026-01-01 10:00:00"], ["no time"]])
def test_a_time_is_read_alone_and_among_others(text: str, value: dt.datetime | None, others: list[str]) -> None:
    for kind in (NAIVE, ZONED):
        values, _ = times.timestamps(pa.array([text, *others], pa.string()), kind)
        expected = value if value is None or kind is NAIVE else value.replace(tzinfo=dt.UTC)
        assert values[0].as_py() == expected


@pytest.mark.parametrize(
    "text", ["", "now", "2026-13-01 10:00:00", "2026-01-01 10:00:00.1234567", "20260101", "0000-01-01"]
)
def test_what_is_no_time_is_told_and_nothing_is_rounded(text: str) -> None:
    values, lost = times.timestamps(pa.array(["2026-01-01 10:00:00", text], pa.string()), NAIVE)
    assert values.to_pylist() == [dt.datetime(2026, 1, 1, 10), None]
    [(rows, texts, reason)] = lost
    assert (rows.to_pylist(), texts.to_pylist(), reason) == ([1], [text], times.NOT_A_TIME)


def test_a_date_has_no_time_of_day_and_a_clock_no_zone() -> None:
    dates, lost = times.dates(pa.array(["2026-02-28", "2026-02-28 00:00:00", "2026-02-28 01:00:00"], pa.string()))
    assert dates.to_pylist() == [dt.date(2026, 2, 28), dt.date(2026, 2, 28), None]
    assert lost[0][0].to_pylist() == [2]
    clocks, lost = times.clock_times(pa.array(["10:00:00", "10:00", "10:00:00+01:00"], pa.string()))
    assert clocks.to_pylist() == [dt.time(10), dt.time(10), None]
    assert lost[0][0].to_pylist() == [2]
