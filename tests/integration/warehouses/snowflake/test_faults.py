"""Answers that are lost, statements that are ended and sessions that are gone, between the real connector and a service
that keeps answers by request id, as Snowflake does (G2, G3).
"""

from __future__ import annotations

import threading
import uuid
from collections.abc import Iterator
from types import SimpleNamespace

import pytest

from adapters.warehouses.snowflake import build, uploading
from adapters.warehouses.snowflake.warehouse import SnowflakeWarehouse
from pipeline.domain.errors import CommitUnknown, Fenced, PipelineError, WarehouseError, WarehouseUnreachable
from tests.conformance.warehouse_ground import FIRST, GROUP, create, following, load, snapshot_of, target_for
from tests.support.emulator import Emulator
from tests.support.told import Log

ONCE = [{"id": 1, "name": "a"}]


@pytest.fixture
def warehouse(emulator: Emulator, database: str) -> Iterator[SnowflakeWarehouse]:
    """A warehouse that gives up after a second."""
    made = build("warehouse", {**emulator.options(database), "retry_s": 1})
    made.setup(GROUP)
    made.begin(FIRST)
    create(made, target_for())
    yield made
    made.close()


def load_one(warehouse: SnowflakeWarehouse, *, after=FIRST):  # type: ignore[no-untyped-def] # Checkpoint
    return load(warehouse, target_for(), [Log(lsn=after.position.parts["lsn"]).insert(id=1, name="a")], after=after)


@pytest.mark.parametrize("statement", ["^BEGIN", "^UPDATE", "^COPY", "^MERGE INTO .STAGING", "^INSERT", "^COMMIT"])
def test_a_request_sent_again_is_done_once(
    warehouse: SnowflakeWarehouse, emulator: Emulator, database: str, statement: str
) -> None:
    patient = build("warehouse", emulator.options(database))
    emulator.fault(database, pattern=statement, kind="answer_late")
    assert load_one(patient) == following(FIRST) == patient.checkpoint(GROUP)
    patient.close()
    assert warehouse.current(target_for()).to_pylist() == ONCE
    assert warehouse.changelog(target_for()).num_rows == len(warehouse.audit(GROUP)) == 1


def test_a_commit_whose_answer_is_lost_is_found_to_have_happened(
    warehouse: SnowflakeWarehouse, emulator: Emulator, database: str
) -> None:
    emulator.fault(database, pattern="^COMMIT", kind="answer_lost")
    with pytest.raises(CommitUnknown):
        load_one(warehouse)
    assert warehouse.checkpoint(GROUP) == following(FIRST)
    with pytest.raises(Fenced):
        load_one(warehouse)
    assert warehouse.current(target_for()).to_pylist() == ONCE
    assert warehouse.changelog(target_for()).num_rows == 1


def test_a_commit_that_never_arrived_is_undone_before_anything_is_read(
    warehouse: SnowflakeWarehouse, emulator: Emulator, database: str
) -> None:
    before = snapshot_of(warehouse, target_for())
    emulator.fault(database, pattern="^COMMIT", kind="not_arrived")
    with pytest.raises(CommitUnknown):
        load_one(warehouse)
    assert snapshot_of(warehouse, target_for()) == before
    assert any("ABORT_TRANSACTION" in each.text for each in emulator.seen(database))
    assert load_one(warehouse) == warehouse.checkpoint(GROUP)
    assert warehouse.current(target_for()).to_pylist() == ONCE


@pytest.mark.parametrize("kind", ["answer_lost", "not_arrived", "session_gone"])
@pytest.mark.parametrize("statement", ["^PUT", "^UPDATE", "^COPY", "^MERGE INTO .STAGING", "^INSERT"])
def test_a_load_that_loses_its_service_leaves_nothing_and_can_be_done_again(
    warehouse: SnowflakeWarehouse, emulator: Emulator, database: str, statement: str, kind: str
) -> None:
    before = snapshot_of(warehouse, target_for())
    emulator.fault(database, pattern=statement, kind=kind)
    with pytest.raises(WarehouseUnreachable):
        load_one(warehouse)
    assert snapshot_of(warehouse, target_for()) == before
    load_one(warehouse)
    assert warehouse.current(target_for()).to_pylist() == ONCE
    assert warehouse.changelog(target_for()).num_rows == 1


def test_a_session_that_went_while_nothing_was_done_is_opened_again(
    warehouse: SnowflakeWarehouse, emulator: Emulator, database: str
) -> None:
    emulator.fault(database, pattern="^BEGIN", kind="session_gone")
    load_one(warehouse)
    emulator.fault(database, pattern="^SELECT", kind="session_gone")
    assert warehouse.current(target_for()).to_pylist() == ONCE


@pytest.mark.parametrize("statement", ["^UPDATE", "^COPY", "^MERGE INTO .STAGING", "^INSERT", "^COMMIT"])
def test_a_statement_that_was_ended_undoes_the_load(
    warehouse: SnowflakeWarehouse, emulator: Emulator, database: str, statement: str
) -> None:
    before = snapshot_of(warehouse, target_for())
    emulator.fault(database, pattern=statement, kind="killed")
    with pytest.raises(PipelineError) as caught:
        load_one(warehouse)
    assert isinstance(caught.value, (WarehouseError, WarehouseUnreachable))
    assert snapshot_of(warehouse, target_for()) == before
    load_one(warehouse)
    assert warehouse.current(target_for()).to_pylist() == ONCE


def test_of_two_writers_that_commit_together_the_second_waits_and_is_fenced(
    warehouse: SnowflakeWarehouse, emulator: Emulator, database: str
) -> None:
    outcomes: list[str] = []
    start = threading.Barrier(2)

    def write() -> None:
        mine = build("warehouse", emulator.options(database))
        with mine.load(FIRST, following(FIRST)) as opened:
            start.wait()
            try:
                opened.commit({})
                outcomes.append("committed")
            except Fenced:
                outcomes.append("fenced")
        mine.close()

    writers = [threading.Thread(target=write) for _ in range(2)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert sorted(outcomes) == ["committed", "fenced"]
    assert len(warehouse.audit(GROUP)) == 1


def test_a_paused_writer_that_wakes_up_is_fenced(
    warehouse: SnowflakeWarehouse, emulator: Emulator, database: str
) -> None:
    with warehouse.load(FIRST, following(FIRST)) as paused:
        other = build("warehouse", emulator.options(database))
        moved = load_one(other)
        with pytest.raises(Fenced):
            paused.commit({})
        other.close()
    assert warehouse.checkpoint(GROUP) == moved
    assert warehouse.current(target_for()).to_pylist() == ONCE


def test_files_that_the_service_takes_for_loaded_before_fail_the_load_instead_of_being_left_out(
    warehouse: SnowflakeWarehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    same_name = SimpleNamespace(uuid4=lambda: uuid.UUID(int=7))  # else each attempt has a folder of its own
    monkeypatch.setattr(uploading, "uuid", same_name)
    first = load_one(warehouse)
    before = snapshot_of(warehouse, target_for())
    with pytest.raises(WarehouseError, match="COPY loaded 0 of 1 rows"):
        load_one(warehouse, after=first)
    assert snapshot_of(warehouse, target_for()) == before
