"""Verification: only rows of one position are compared, or nothing is said."""

import pytest

from pipeline.application.copying import Interrupted
from pipeline.application.sync import sync
from pipeline.application.verify import verify
from pipeline.domain.change import Operation
from pipeline.domain.errors import Fenced
from tests.support.memory_source import MemorySnapshot, MemorySource
from tests.support.rig import PatientStop, Rig

INSERT, DELETE = Operation.INSERT, Operation.DELETE


@pytest.fixture
def rig() -> Rig:
    rig = Rig()
    rig.database.commit(("orders", INSERT, {"id": 1, "status": "new"}))
    sync(rig.session())
    return rig


def test_a_stopped_verification_does_not_call_what_it_could_not_load_a_difference(rig: Rig) -> None:
    rig.database.commit(("orders", INSERT, {"id": 2, "status": "new"}))
    session = rig.session()
    session.stop.set()
    with pytest.raises(Interrupted):
        verify(session, repair=True)
    assert [row["id"] for row in rig.current()] == [1]
    rig.stop = PatientStop()
    assert verify(rig.session()).is_equal


def test_a_stop_is_heeded_while_rows_are_read(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    session = rig.session()
    read = MemorySnapshot.read

    def stop_then_read(self: MemorySnapshot, stream: str) -> object:
        session.stop.set()
        return read(self, stream)

    monkeypatch.setattr(MemorySnapshot, "read", stop_then_read)
    with pytest.raises(Interrupted):
        verify(session)


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_checkpoint_that_another_run_moves_on_is_noticed_and_nothing_is_repaired(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    rig.database.commit(("orders", INSERT, {"id": 2, "status": "new"}))
    take, read = MemorySource.snapshot, MemorySnapshot.read
    others: list[int] = []

    def another_run() -> None:
        if not others:
            others.append(rig.database.commit(("orders", DELETE, {"id": 1})))
            sync(rig.session())

    def snapshot(self: MemorySource, *args: object, **options: object) -> MemorySnapshot:
        taken = take(self, *args, **options)
        if moment == "before":
            another_run()
        return taken

    def read_meanwhile(self: MemorySnapshot, stream: str) -> object:
        if moment == "after":
            another_run()
        return read(self, stream)

    monkeypatch.setattr(MemorySource, "snapshot", snapshot)
    monkeypatch.setattr(MemorySnapshot, "read", read_meanwhile)
    with pytest.raises(Fenced):
        verify(rig.session(), repair=True)
    assert [row["id"] for row in rig.current()] == [2]
