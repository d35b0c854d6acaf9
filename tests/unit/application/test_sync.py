"""A bounded run, and its end under steady writes."""

import pytest

from pipeline.application.sync import sync
from pipeline.domain.change import Operation
from tests.support.memory_source import MemorySource
from tests.support.rig import Rig

INSERT = Operation.INSERT


@pytest.fixture
def rig() -> Rig:
    rig = Rig()
    rig.database.commit(("orders", INSERT, {"id": 1, "status": "new"}))
    return rig


def test_a_run_under_steady_writes_ends_at_the_position_taken_at_its_start(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    sync(rig.session())
    check = MemorySource.read

    def read_while_others_write(self: MemorySource, *args: object, **options: object) -> object:
        rig.database.commit(("orders", INSERT, {"id": 2, "status": "late"}))
        return check(self, *args, **options)

    monkeypatch.setattr(MemorySource, "read", read_while_others_write)
    sync(rig.session())
    assert [row["id"] for row in rig.current()] == [1]
    monkeypatch.undo()
    sync(rig.session())
    assert rig.current() == rig.table()
