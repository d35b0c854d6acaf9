"""Runs of a source without a log: fenced, stopped, taken over from another kind, replaced as a whole."""

from __future__ import annotations

import attrs
import pytest

from adapters.sources.polling.extractor import Extraction, Kind
from pipeline.application.resync import resync
from pipeline.application.session import Session
from pipeline.application.sync import sync
from pipeline.domain.change import Operation
from pipeline.domain.errors import Fenced, LogLost
from pipeline.domain.stream import BatchLimits, StreamSpec
from tests.support import shelf
from tests.support.polled_rig import PolledRig
from tests.support.rig import Rig
from tests.support.shelf import Shelf, ShelfExtractor


def rig_of(how: object, held: Shelf, **limits: int) -> PolledRig:
    extractor = ShelfExtractor(held, how)  # type: ignore[arg-type] # one of the ways of reading a shelf
    return PolledRig(extractor=extractor, limits=BatchLimits(**limits))


def filled() -> Shelf:
    held = Shelf()
    held.put(*({"id": number, "note": "before"} for number in range(1, 10)))
    return held


def shown(held: Shelf) -> list[dict[str, object]]:
    """What the staging table has to show."""
    rows = ({"id": row["id"], "note": row["note"], "size": row["size"]} for row in held.rows)
    return sorted(rows, key=lambda row: int(str(row["id"])))


def test_of_two_runs_at_the_same_time_one_is_fenced_and_nothing_is_lost() -> None:
    held = filled()
    rig = rig_of(shelf.image, held, rows=2)
    sync(rig.session())
    for number in range(1, 10):
        held.put({"id": number, "note": "changed"})

    def another_run(_: int) -> None:
        held.between = lambda _: None
        held.remove(9)
        sync(rig.session())

    held.between = another_run
    with pytest.raises(Fenced):
        sync(rig.session())
    assert rig.current() == shown(held)
    sync(rig.session())
    assert rig.current() == shown(held)
    changed = [row["id"] for row in rig.changelog() if row["_cdc_op"] == "update"]
    assert sorted(changed) == list(range(1, 9))


def test_a_stop_is_heeded_in_the_middle_of_a_look_and_the_next_run_goes_on() -> None:
    held = filled()
    rig = rig_of(shelf.image, held, rows=2)
    sync(rig.session())
    for number in range(1, 10):
        held.put({"id": number, "note": "changed"})
    session: Session = rig.session()

    def stop(page: int) -> None:
        if page == 2:
            session.stop.set()

    held.between = stop
    assert sync(session).stopped
    held.between = lambda _: None
    rig.stop.clear()
    assert rig.current() != shown(held)
    sync(rig.session())
    assert rig.current() == shown(held)


def test_a_replacement_is_loaded_in_one_transaction_and_not_again() -> None:
    held = filled()
    rig = rig_of(shelf.replacement, held, rows=2, spill_bytes=0)
    sync(rig.session())
    assert sync(rig.session()).batch_count == 0
    held.put({"id": 1, "note": "changed"})
    result = sync(rig.session())
    assert (result.batch_count, result.counts["orders"].read_count) == (1, 10)
    assert rig.current() == shown(held)
    assert len({row["_cdc_load"] for row in rig.changelog() if row["_cdc_op"] == "update"}) == 1


def test_a_stream_that_came_from_a_log_is_taken_over_by_a_resync() -> None:
    logged = Rig()
    logged.database.commit(("orders", Operation.INSERT, {"id": 1, "status": "new"}))
    sync(logged.session())
    held = filled()
    spec = StreamSpec("orders", "orders", "shop")
    rig = attrs.evolve(rig_of(shelf.image, held), warehouse=logged.warehouse, streams={"orders": spec})
    with pytest.raises(LogLost) as lost:
        sync(rig.session())
    assert lost.value.facts["case"] == "another_kind"
    resync(rig.session(), ["orders"])
    assert [{name: row[name] for name in ("id", "note", "size")} for row in rig.current()] == shown(held)
    held.remove(3)
    sync(rig.session())
    assert [row["id"] for row in rig.current()] == [1, 2, 4, 5, 6, 7, 8, 9]


def test_how_a_stream_is_read_may_change_with_a_resync() -> None:
    held = filled()
    rig = rig_of(shelf.plain_changes, held)
    sync(rig.session())
    held.remove(3)
    rig.extractor = ShelfExtractor(held, shelf.image)
    resync(rig.session(), ["orders"])
    assert rig.current() == shown(held)
    held.remove(4)
    sync(rig.session())
    assert rig.current() == shown(held)


def test_bookmarks_alone_are_kept_without_a_row() -> None:
    held = filled()
    rig = rig_of(lambda extractor, _: Extraction(Kind.CHANGES, extractor.read(list, {"token": "next"})), held)
    sync(rig.session())
    kept = rig.warehouse.bookmarks("shop", "orders")
    assert {"name": "token", "value": "next"} in kept.to_pylist()
