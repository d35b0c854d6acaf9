"""Which folders in the stage count as left over."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from adapters.warehouses.snowflake.uploading import left_over

MIDNIGHT = datetime(2026, 3, 1, tzinfo=UTC)
A, B = "20260227-" + "a" * 32, "20260227-" + "b" * 32


def listed(name: str, at: datetime) -> dict[str, object]:
    """A row of LIST, as the service writes it."""
    return {"name": name, "size": 7, "last_modified": format_datetime(at, usegmt=True)}


@pytest.mark.parametrize("seconds", [-1, 0, 1, 12 * 3600])
def test_a_folder_is_left_over_a_whole_day_after_its_newest_file_whatever_date_it_is(seconds: int) -> None:
    uploaded_at = MIDNIGHT + timedelta(seconds=seconds)
    files = [listed(f"loads/{A}/1.parquet", uploaded_at)]
    assert left_over(files, now=uploaded_at + timedelta(days=1)) == []
    assert left_over(files, now=uploaded_at + timedelta(days=1, seconds=1)) == [A]


def test_an_attempt_that_uploads_for_days_is_alive_as_long_as_it_does() -> None:
    files = [listed(f"loads/{A}/{number}.parquet", MIDNIGHT + timedelta(hours=number)) for number in range(60)]
    assert left_over(files, now=MIDNIGHT + timedelta(hours=60)) == []


def test_each_folder_counts_once_however_many_files_it_has_and_folders_of_others_do_not() -> None:
    files = [listed(f"loads/{folder}/{number}.parquet", MIDNIGHT) for number in range(1001) for folder in (B, A)]
    others = ["loads/mine.csv", "loads/mine/1.parquet", f"loads/{A}.parquet", f"loads/{A[:-1]}/1.parquet"]
    files += [listed(name, MIDNIGHT) for name in others]
    assert left_over(files, now=MIDNIGHT + timedelta(days=9)) == [A, B]
