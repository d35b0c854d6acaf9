"""What every warehouse owes to the pipeline when tables are made and altered, and when that is undone.

Harness and ground are ``warehouse_ground``'s.
"""

from __future__ import annotations

import attrs
import pyarrow as pa
import pytest

from pipeline.domain.errors import PipelineError, SchemaRefused
from pipeline.domain.loading import (
    AddColumn,
    ChangeType,
    DropColumn,
    Migration,
    RenameColumn,
    SchemaChange,
    Target,
)
from pipeline.domain.renaming import ordered_renames
from pipeline.domain.schema import Column, StreamSchema
from pipeline.domain.stream import Mode
from pipeline.domain.tables import changelog_schema, staging_schema
from pipeline.ports.warehouse import Warehouse
from tests.conformance.warehouse_ground import (
    FIRST,
    GROUP,
    PEOPLE,
    WarehouseHarness,
    WarehouseSuite,
    create,
    load,
    snapshot_of,
    target_for,
    told_as_of,
)
from tests.support.tables import content
from tests.support.told import Log


class WarehouseMigrationsConformance(WarehouseSuite):
    """Tables, columns, types and names, and their way back."""

    @pytest.mark.parametrize("mode", list(Mode))
    def test_tables_have_the_columns_that_all_warehouses_have(self, warehouse: Warehouse, mode: Mode) -> None:
        target = create(warehouse, target_for(mode))
        assert warehouse.rows(target).schema == staging_schema(PEOPLE)
        assert warehouse.changelog(target).schema == changelog_schema(PEOPLE)
        assert warehouse.current(target).schema == PEOPLE.arrow()

    def test_creating_tables_twice_leaves_their_rows(self, warehouse: Warehouse) -> None:
        target = create(warehouse, target_for())
        load(warehouse, target, [Log().insert(id=1, name="a")])
        before = snapshot_of(warehouse, target)
        create(warehouse, target)
        assert snapshot_of(warehouse, target) == before

    def test_a_table_of_somebody_else_is_refused_before_any_change(
        self, warehouse: Warehouse, harness: WarehouseHarness
    ) -> None:
        warehouse.close()
        harness.make_foreign("shop__people")
        other = Target("orders", "shop__orders", Mode.MIRROR, PEOPLE)
        with pytest.raises(SchemaRefused):
            warehouse.migrate(FIRST, [Migration(other), Migration(target_for())])
        with pytest.raises(PipelineError):
            warehouse.rows(other)

    @pytest.mark.parametrize("mode", list(Mode))
    @pytest.mark.parametrize(
        ("change", "after", "row"),
        [
            (
                AddColumn(Column("age", pa.int32(), default=pa.scalar(7, pa.int32()))),
                StreamSchema([*PEOPLE.columns, Column("age", pa.int32())], key=("id",)),
                {"id": 1, "name": "a", "age": 7},
            ),
            (
                AddColumn(Column("note", pa.string())),
                StreamSchema([*PEOPLE.columns, Column("note", pa.string())], key=("id",)),
                {"id": 1, "name": "a", "note": None},
            ),
            (
                RenameColumn("name", Column("full name", pa.string())),
                StreamSchema([PEOPLE.columns[0], Column("full name", pa.string())], key=("id",)),
                {"id": 1, "full name": "a"},
            ),
            (
                RenameColumn("id", Column("number", pa.int64(), nullable=False)),
                StreamSchema([Column("number", pa.int64(), nullable=False), PEOPLE.columns[1]], key=("number",)),
                {"number": 1, "name": "a"},
            ),
            (DropColumn("name"), PEOPLE, {"id": 1, "name": "a"}),
        ],
        ids=["add with default", "add", "rename", "rename key", "drop"],
    )
    def test_a_schema_change_reaches_rows_and_changelog_and_may_come_twice(
        self, warehouse: Warehouse, mode: Mode, change: SchemaChange, after: StreamSchema, row: dict[str, object]
    ) -> None:
        before = create(warehouse, target_for(mode))
        checkpoint = load(warehouse, before, [Log().insert(id=1, name="a")])
        target = target_for(mode, after, version=2)
        for _ in range(2):
            checkpoint = warehouse.migrate(checkpoint, [Migration(target, PEOPLE, (change,))])
            assert warehouse.current(target).to_pylist() == [row]
        assert warehouse.changelog(target).select(after.names).to_pylist() == [row]
        added = {**row, after.key[0]: 2}
        checkpoint = load(warehouse, target, [Log(lsn=200).insert(**added)], after=checkpoint)
        assert content(warehouse.current(target)) == content(pa.Table.from_pylist([row, added], schema=after.arrow()))
        warehouse.rebuild(checkpoint, target)
        assert content(warehouse.current(target)) == content(pa.Table.from_pylist([row, added], schema=after.arrow()))

    def test_renaming_reaches_what_the_changelog_tells_of_unchanged_columns_and_old_keys(
        self, warehouse: Warehouse
    ) -> None:
        target, log = create(warehouse, target_for()), Log()
        checkpoint = load(
            warehouse,
            target,
            [log.insert(id=1, name="a"), log.update(id=2, old_key={"id": 1}, unchanged=("name",))],
        )
        after = StreamSchema([Column("number", pa.int64(), nullable=False), Column("label", pa.string())], ("number",))
        renamed = target_for(Mode.MIRROR, after, version=2)
        renames = (RenameColumn("id", after.columns[0]), RenameColumn("name", after.columns[1]))
        warehouse.migrate(checkpoint, [Migration(renamed, PEOPLE, renames)])
        warehouse.rebuild(checkpoint, renamed)
        assert warehouse.current(renamed).to_pylist() == [{"number": 2, "label": "a"}]

    @pytest.mark.parametrize("mode", list(Mode))
    @pytest.mark.parametrize("names", [("label", "id"), ("id", "name"), ("number", "label")], ids=repr)
    def test_a_migration_that_no_load_recorded_is_undone_by_setup(
        self, warehouse: Warehouse, harness: WarehouseHarness, mode: Mode, names: tuple[str, str]
    ) -> None:
        before, log = create(warehouse, target_for(mode)), Log()
        changes = [log.insert(id=1, name="a"), log.update(id=2, old_key={"id": 1}, unchanged=("name",))]
        checkpoint = load(warehouse, before, changes)
        told = snapshot_of(warehouse, before)
        wishes = [*zip(PEOPLE.columns, names, strict=True)]
        renamed = [attrs.evolve(column, name=name) for column, name in wishes]
        age = Column("age", pa.int32(), default=pa.scalar(7, pa.int32()))
        after = target_for(mode, StreamSchema([*renamed, age], key=names[:1]), version=2)
        migration = Migration(after, PEOPLE, (*ordered_renames(wishes), AddColumn(age)))
        assert warehouse.migrate(checkpoint, [migration]) == checkpoint
        warehouse.close()
        again = harness.open()
        again.setup(GROUP)
        assert again.checkpoint(GROUP) == checkpoint.claimed()
        assert snapshot_of(again, before) == told_as_of(told, checkpoint.claimed())

    @pytest.mark.parametrize("mode", list(Mode))
    def test_a_migration_that_no_load_recorded_is_undone_by_the_next(self, warehouse: Warehouse, mode: Mode) -> None:
        checkpoint = load(warehouse, create(warehouse, target_for(mode)), [Log().insert(id=1, name="a")])
        for label in ("label", "legend", "name_renaming", "legend"):
            column = attrs.evolve(PEOPLE.columns[1], name=label)
            target = target_for(mode, StreamSchema([PEOPLE.columns[0], column], key=("id",)), version=2)
            checkpoint = warehouse.migrate(checkpoint, [Migration(target, PEOPLE, (RenameColumn("name", column),))])
            assert warehouse.current(target).to_pylist() == [{"id": 1, label: "a"}]
        assert warehouse.checkpoint(GROUP) == checkpoint

    def test_neither_a_start_nor_a_migration_undoes_a_migration_of_another_group(
        self, warehouse: Warehouse, harness: WarehouseHarness
    ) -> None:
        target = create(warehouse, target_for())
        checkpoint = load(warehouse, target, [Log().insert(id=1, name="a")])
        note = Column("note", pa.string())
        after = target_for(schema=StreamSchema([*PEOPLE.columns, note], key=("id",)), version=2)
        warehouse.migrate(checkpoint, [Migration(after, PEOPLE, (AddColumn(note),))])
        warehouse.close()
        another = harness.open()
        another.setup("other")
        other = attrs.evolve(FIRST, group="other")
        another.begin(other)
        another.migrate(other, [Migration(Target("orders", "shop__orders", Mode.MIRROR, PEOPLE))])
        another.setup("other")
        another.close()
        load(warehouse, after, [Log(lsn=200).insert(id=2, name="b", note="c")], after=checkpoint)
        assert warehouse.current(after).sort_by("id").to_pylist() == [
            {"id": 1, "name": "a", "note": None},
            {"id": 2, "name": "b", "note": "c"},
        ]

    @pytest.mark.parametrize("mode", list(Mode))
    def test_a_type_that_widens_keeps_every_value(self, warehouse: Warehouse, mode: Mode) -> None:
        narrow = StreamSchema([Column("id", pa.int32()), Column("n", pa.int32())], key=("id",))
        wide = StreamSchema([Column("id", pa.int64()), Column("n", pa.int64())], key=("id",))
        assert warehouse.widens(pa.int32(), pa.int64())
        assert not warehouse.widens(pa.int64(), pa.int32())
        assert not warehouse.widens(pa.string(), pa.int64())
        target, log = create(warehouse, target_for(mode, narrow)), Log()
        checkpoint = load(warehouse, target, [log.insert(id=1, n=2**31 - 1), log.insert(id=2, n=-(2**31))])
        after = target_for(mode, wide, version=2)
        for _ in range(2):
            changes = tuple(ChangeType(column) for column in wide.columns)
            checkpoint = warehouse.migrate(checkpoint, [Migration(after, narrow, changes)])
        load(warehouse, after, [Log(lsn=200).insert(id=2**40, n=2**62)], after=checkpoint)
        expected = [{"id": 1, "n": 2**31 - 1}, {"id": 2, "n": -(2**31)}, {"id": 2**40, "n": 2**62}]
        assert content(warehouse.current(after)) == content(pa.Table.from_pylist(expected, schema=wide.arrow()))
