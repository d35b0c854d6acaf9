"""What another writer loads while a rebuild reads the changelog fences it out, and it shows nothing (P4)."""

from __future__ import annotations

import pytest

from adapters.warehouses.snowflake import build, rebuild
from adapters.warehouses.snowflake.warehouse import SnowflakeWarehouse
from pipeline.domain.errors import Fenced
from pipeline.domain.stream import Mode
from tests.conformance.warehouse_ground import create, load, snapshot_of, target_for
from tests.support.emulator import Emulator
from tests.support.told import Log


@pytest.mark.parametrize(("before", "after"), [(Mode.MIRROR, Mode.HISTORY), (Mode.APPEND, Mode.MIRROR)])
def test_a_load_that_comes_while_a_rebuild_reads_fences_it_out(
    warehouse: SnowflakeWarehouse,
    emulator: Emulator,
    database: str,
    monkeypatch: pytest.MonkeyPatch,
    *,
    before: Mode,
    after: Mode,
) -> None:
    target = create(warehouse, target_for(before))
    checkpoint = load(warehouse, target, [Log().insert(id=1, name="a")])
    told: list[tuple[object, ...]] = []

    def overtaken(*arguments: object) -> None:
        other = build("another", emulator.options(database))
        load(other, target, [Log(lsn=200).insert(id=2, name="b")], after=checkpoint)
        told.append(snapshot_of(other, target))
        other.close()

    replay = rebuild.replay
    monkeypatch.setattr(rebuild, "replay", lambda *arguments: (replay(*arguments), overtaken()))
    with pytest.raises(Fenced):
        warehouse.rebuild(checkpoint, target_for(after))
    assert [snapshot_of(warehouse, target)] == told
