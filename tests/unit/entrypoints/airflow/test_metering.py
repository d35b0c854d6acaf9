"""What the events of assets tell of a load."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from entrypoints.airflow.metering import LoadMeter, loads_of, rows_since
from pipeline.application.sync import sync
from pipeline.domain.change import Operation
from pipeline.domain.counts import StreamCounts
from pipeline.domain.events import BatchApplied, CopyFinished, IdleCheckpoint
from tests.support.rig import Rig

AT = datetime(2026, 1, 1, tzinfo=UTC)


def applied(counts: dict[str, StreamCounts], last_commit_at: datetime | None) -> BatchApplied:
    return BatchApplied("shop", 1, counts, 1, 100, AT, last_commit_at, AT, 0.1)


def test_rows_of_copies_and_batches_add_up_and_streams_that_did_not_change_are_left_out() -> None:
    meter = LoadMeter()
    meter.record(CopyFinished("orders", 10, 0.1, quarantined_count=2))
    meter.record(applied({"orders": StreamCounts(read_count=5, changelog_count=4, quarantined_count=1)}, AT))
    meter.record(applied({"orders": StreamCounts(read_count=1, changelog_count=1), "notes": StreamCounts()}, AT))
    meter.record(IdleCheckpoint("shop", AT))
    assert (meter.rows, meter.quarantined) == ({"orders": 13}, {"orders": 3})


def test_a_copy_of_no_rows_is_told_of_since_it_has_emptied_the_table() -> None:
    meter = LoadMeter()
    meter.record(CopyFinished("orders", 0, 0.1))
    assert (meter.rows, meter.quarantined) == ({"orders": 0}, {})


def test_rows_of_all_loads_since_are_those_of_the_warehouses_books() -> None:
    rig = Rig()
    rig.database.commit(("orders", Operation.INSERT, {"id": 1, "status": "new"}))
    sync(rig.session())
    before = loads_of([rig.session()])
    rig.database.commit(("orders", Operation.UPDATE, {"id": 1, "status": "paid"}))
    sync(rig.session())
    sessions = [rig.session()]
    assert rows_since(sessions, {}) == {"orders": 2}
    assert rows_since(sessions, before) == {"orders": 1}
    assert rows_since(sessions, loads_of(sessions)) == {}


def test_the_lag_is_that_of_the_last_load_and_never_negative() -> None:
    meter = LoadMeter()
    assert meter.lag_s is None
    meter.record(applied({}, AT - timedelta(seconds=1.5)))
    meter.record(applied({}, None))
    assert meter.lag_s == 1.5
    meter.record(applied({}, AT + timedelta(seconds=1)))  # clocks differ
    assert meter.lag_s == 0.0
