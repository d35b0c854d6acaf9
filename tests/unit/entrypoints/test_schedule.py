"""What starts a pipeline's DAG, and what is no schedule."""

from __future__ import annotations

import pytest

from entrypoints.schedule import Schedule, ScheduleKind, parse_schedule


@pytest.mark.parametrize(
    ("value", "schedule", "text"),
    [
        (None, Schedule(), None),
        ("*/10 * * * *", Schedule(ScheduleKind.CRON, cron="*/10 * * * *"), "*/10 * * * *"),
        ("0 6-18/2 1,15 Jan mon-fri", Schedule(ScheduleKind.CRON, cron="0 6-18/2 1,15 Jan mon-fri"), None),
        ("@hourly", Schedule(ScheduleKind.CRON, cron="@hourly"), "@hourly"),
        ("@continuous", Schedule(ScheduleKind.CONTINUOUS), "@continuous"),
        ("@changes", Schedule(ScheduleKind.CHANGES), "@changes"),
        ({"every": "1m30s"}, Schedule(ScheduleKind.EVERY, every_s=90.0), "every 90 s"),
        (
            {"assets": ["a/marts/b", "c"]},
            Schedule(ScheduleKind.ASSETS, assets=("a/marts/b", "c")),
            "after a/marts/b, c",
        ),
    ],
)
def test_a_schedule_is_one_of_five_kinds(value: object, schedule: Schedule, text: str | None) -> None:
    assert parse_schedule(value) == schedule
    assert schedule.text == (text or schedule.cron or None)


@pytest.mark.parametrize(
    "value",
    [
        *("", "hourly", "@evry", "* * * *", "60 * * * *", "* 24 * * *", "* * 0 * *", "* * * 13 *", "* * * * 8"),
        *("5-1 * * * *", "*/0 * * * *", "a * * * *", "1,,2 * * * *", "* * * feb-jan *", "\u0661 * * * *"),
        *(5, True, [], {}, {"every": "soon"}, {"every": 0}, {"every": True}, {"assets": []}, {"assets": [1]}),
        *({"every": "1h", "assets": ["a"]}, {"cron": "* * * * *"}),
    ],
)
def test_anything_else_is_refused(value: object) -> None:
    with pytest.raises(ValueError):
        parse_schedule(value)
