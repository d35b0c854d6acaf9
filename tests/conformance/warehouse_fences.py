"""What every warehouse owes to the pipeline where two writers meet: the one that was overtaken changes nothing (P4).

Harness and ground are ``warehouse_ground``'s; what fences guard is in the other suites.
"""

from __future__ import annotations

import attrs
import pyarrow as pa
import pytest

from pipeline.domain.errors import Fenced, WarehouseUnreachable
from pipeline.domain.loading import (
    AddColumn,
    Migration,
    Target,
)
from pipeline.domain.schema import Column, StreamSchema
from pipeline.domain.stream import Mode
from pipeline.ports.warehouse import Warehouse
from tests.conformance.warehouse_ground import (
    FIRST,
    GROUP,
    PEOPLE,
    WarehouseHarness,
    WarehouseSuite,
    create,
    following,
    load,
    snapshot_of,
    target_for,
)
from tests.support.told import Log


class WarehouseFencesConformance(WarehouseSuite):
    """Loads, migrations, rebuilds and idle checkpoints of writers that were overtaken."""

    def test_a_stale_writer_is_fenced_before_it_writes(self, warehouse: Warehouse, harness: WarehouseHarness) -> None:
        target = create(warehouse, target_for())
        load(warehouse, target, [Log().insert(id=1, name="a")])
        before = snapshot_of(warehouse, target)
        warehouse.close()
        stale = harness.open()
        with pytest.raises(Fenced):
            load(stale, target, [Log().insert(id=2, name="b")])
        with pytest.raises(Fenced):
            stale.idle(FIRST, following(FIRST))
        assert snapshot_of(stale, target) == before

    def test_a_group_that_was_never_begun_is_fenced(self, warehouse: Warehouse) -> None:
        unknown = attrs.evolve(FIRST, group="unknown")
        with pytest.raises(Fenced), warehouse.load(unknown, following(unknown)):
            pass

    def test_of_two_writers_one_commits(self, warehouse: Warehouse, harness: WarehouseHarness) -> None:
        target = create(warehouse, target_for())
        other = harness.open()
        refused = 0
        with warehouse.load(FIRST, following(FIRST)) as opened:
            try:
                load(other, target, [Log().insert(id=2, name="other")])
                with pytest.raises(Fenced):
                    opened.commit({})
            except (Fenced, WarehouseUnreachable):
                refused = 1
                opened.commit({})
        assert warehouse.checkpoint(GROUP) == following(FIRST)
        assert len(warehouse.audit(GROUP)) == 1
        assert warehouse.current(target).num_rows == 1 - refused

    @pytest.mark.parametrize(
        ("before", "after"),
        [(Mode.MIRROR, Mode.HISTORY), (Mode.MIRROR, Mode.APPEND), (Mode.APPEND, Mode.SOFT_DELETE)],
        ids=lambda mode: mode.value,
    )
    def test_a_writer_that_knows_the_former_mode_is_fenced_out_by_a_rebuild(
        self, warehouse: Warehouse, harness: WarehouseHarness, before: Mode, after: Mode
    ) -> None:
        former, built = create(warehouse, target_for(before)), target_for(after)
        checkpoint = load(warehouse, former, [Log().insert(id=1, name="a")])
        another = harness.open()
        claimed = another.rebuild(checkpoint, built)
        assert (claimed, another.checkpoint(GROUP)) == (checkpoint.claimed(), checkpoint.claimed())
        with pytest.raises(Fenced):
            load(warehouse, former, [Log(lsn=200).insert(id=2, name="b")], after=checkpoint)
        load(another, built, [Log(lsn=300).insert(id=3, name="c")], after=claimed)
        rows = [{"id": 1, "name": "a"}, {"id": 3, "name": "c"}]
        assert another.current(built).sort_by("id").to_pylist() == rows
        assert another.changelog(built).select(["id", "name"]).sort_by("id").to_pylist() == rows
        another.close()

    @pytest.mark.parametrize("after", [Mode.HISTORY, Mode.APPEND], ids=lambda mode: mode.value)
    def test_a_rebuild_by_a_run_that_another_one_overtook_changes_nothing(
        self, warehouse: Warehouse, harness: WarehouseHarness, after: Mode
    ) -> None:
        target = create(warehouse, target_for())
        checkpoint = load(warehouse, target, [Log().insert(id=1, name="a")])
        load(warehouse, target, [Log(lsn=200).insert(id=2, name="b")], after=checkpoint)
        told = snapshot_of(warehouse, target)
        stale = harness.open()
        with pytest.raises(Fenced):
            stale.rebuild(checkpoint, target_for(after))
        stale.close()
        assert snapshot_of(warehouse, target) == told

    @pytest.mark.parametrize("by", ["setup", "migrate"])
    def test_a_run_whose_migration_another_one_undid_loads_nothing(
        self, warehouse: Warehouse, harness: WarehouseHarness, by: str
    ) -> None:
        target = create(warehouse, target_for())
        checkpoint = load(warehouse, target, [Log().insert(id=1, name="a")])
        note = Column("note", pa.string())
        after = target_for(schema=StreamSchema([*PEOPLE.columns, note], key=("id",)), version=2)
        warehouse.migrate(checkpoint, [Migration(after, PEOPLE, (AddColumn(note),))])
        another = harness.open()
        if by == "setup":
            another.setup(GROUP)
        else:
            other = Target("orders", "shop__orders", Mode.MIRROR, PEOPLE)
            assert another.migrate(checkpoint, [Migration(other)]) == checkpoint.claimed()
        with pytest.raises(Fenced):
            load(warehouse, after, [Log(lsn=200).insert(id=2, name="b", note="c")], after=checkpoint)
        load(another, target, [Log(lsn=200).insert(id=2, name="b")], after=checkpoint.claimed())
        assert another.current(target).sort_by("id").to_pylist() == [{"id": 1, "name": "a"}, {"id": 2, "name": "b"}]
        another.close()

    def test_a_run_that_another_one_overtook_undoes_nothing(
        self, warehouse: Warehouse, harness: WarehouseHarness
    ) -> None:
        target = create(warehouse, target_for())
        checkpoint = load(warehouse, target, [Log().insert(id=1, name="a")])
        stale, note = harness.open(), Column("note", pa.string())
        after = target_for(schema=StreamSchema([*PEOPLE.columns, note], key=("id",)), version=2)
        moved = load(warehouse, target, [Log(lsn=200).insert(id=2, name="b")], after=checkpoint)
        warehouse.migrate(moved, [Migration(after, PEOPLE, (AddColumn(note),))])
        with pytest.raises(Fenced):
            stale.migrate(checkpoint, [Migration(target)])
        stale.close()
        load(warehouse, after, [Log(lsn=300).insert(id=3, name="c", note="d")], after=moved)
        assert warehouse.current(after)["note"].to_pylist().count("d") == 1
