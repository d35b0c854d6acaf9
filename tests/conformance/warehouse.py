"""What every warehouse owes to the pipeline: one test per obligation of ``pipeline.ports.warehouse``.

Subclass ``WarehouseConformance`` in the adapter's tests and give it a harness (``warehouse_ground``). Loading by mode
is in ``warehouse_modes``; values, names, quarantine and comparing in ``warehouse_rows``.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import attrs
import pyarrow as pa
import pytest

from pipeline.domain.bookmarks import NO_BOOKMARKS, bookmarks, plain_bookmarks
from pipeline.domain.checkpoint import Checkpoint
from pipeline.domain.counts import StreamCounts
from pipeline.domain.errors import Fenced, PipelineError, SchemaRefused, WarehouseUnreachable
from pipeline.domain.loading import (
    AddColumn,
    ChangeType,
    DropColumn,
    Migration,
    RenameColumn,
    SchemaChange,
    Target,
)
from pipeline.domain.planning import plan_steps
from pipeline.domain.position import Position
from pipeline.domain.renaming import ordered_renames
from pipeline.domain.schema import Column, StreamSchema
from pipeline.domain.stream import Mode
from pipeline.domain.tables import changelog_schema, staging_schema
from pipeline.ports.warehouse import Warehouse
from tests.conformance.warehouse_ground import (
    CANARY,
    FIRST,
    GROUP,
    PEOPLE,
    WarehouseHarness,
    WarehouseSuite,
    create,
    following,
    load,
    quarantine_rows,
    snapshot_of,
    state_for,
    target_for,
    told_as_of,
)
from tests.support.tables import content
from tests.support.told import Log, change_table


class WarehouseConformance(WarehouseSuite):
    """Checkpoints, transactions, fences, migrations and the audit."""

    def test_before_setup_there_is_no_checkpoint_and_no_state(self, harness: WarehouseHarness) -> None:
        made = harness.open()
        assert (made.checkpoint(GROUP), made.states(GROUP), made.intended(GROUP)) == (None, {}, False)
        assert made.bookmarks(GROUP, "people") == NO_BOOKMARKS

    def test_bookmarks_move_with_the_load_that_they_tell_of(
        self, warehouse: Warehouse, harness: WarehouseHarness
    ) -> None:
        create(warehouse, target_for())
        first = following(FIRST)
        with warehouse.load(FIRST, first) as opened:
            opened.remember("people", bookmarks({"a": "1", "b": 'it\'s \\ "odd"', "é": ""}))
            opened.remember("others", bookmarks({"a": "7"}))
            opened.commit({})
        with warehouse.load(first, following(first)) as left:
            left.remember("people", bookmarks({"a": "9"}))
        second = following(first)
        with warehouse.load(first, second) as opened:
            opened.remember("people", bookmarks({"a": "2", "b": None, "c": "3", "gone": None}))
            opened.commit({})
        warehouse.close()
        again = harness.open()
        assert plain_bookmarks(again.bookmarks(GROUP, "people")) == {"a": "2", "c": "3", "é": ""}
        assert plain_bookmarks(again.bookmarks(GROUP, "others")) == {"a": "7"}
        assert again.bookmarks("another", "people") == NO_BOOKMARKS

        third = following(second)
        with again.load(second, third) as opened:
            opened.remember("people", bookmarks({"a": "4"}), replaces=True)
            opened.commit({})
        with again.load(third, following(third)) as opened:
            opened.remember("others", NO_BOOKMARKS, replaces=True)
            opened.commit({})
        assert plain_bookmarks(again.bookmarks(GROUP, "people")) == {"a": "4"}
        assert again.bookmarks(GROUP, "others") == NO_BOOKMARKS

    def test_two_groups_are_loaded_by_two_threads(self, warehouse: Warehouse) -> None:
        """Each in its order, whatever the other does; a load that is open stops none of another group for good."""
        groups = {name: attrs.evolve(FIRST, group=name) for name in ("left", "right")}
        for first in groups.values():
            warehouse.begin(first)

        def fill(group: str) -> Checkpoint:
            target = create(warehouse, attrs.evolve(target_for(), stream=group, table=f"shop__{group}"), groups[group])
            at, log = groups[group], Log()
            for number in range(5):
                to = following(at)
                with warehouse.load(at, to) as opened:
                    for step in plan_steps(target, change_table(PEOPLE, [log.insert(id=number, name=group)])):
                        opened.apply(step)
                    opened.remember(group, bookmarks({"number": str(number)}))
                    opened.commit({})
                at = to
            return at

        with ThreadPoolExecutor(2) as pool:
            ends = dict(zip(groups, pool.map(fill, groups), strict=True))
        for group, end in ends.items():
            target = attrs.evolve(target_for(), stream=group, table=f"shop__{group}")
            assert warehouse.checkpoint(group) == end
            assert warehouse.current(target).num_rows == 5
            assert plain_bookmarks(warehouse.bookmarks(group, group)) == {"number": "4"}

    def test_setup_twice_leaves_what_once_leaves(self, warehouse: Warehouse) -> None:
        target = create(warehouse, target_for())
        load(warehouse, target, [Log().insert(id=1, name="a")])
        before = snapshot_of(warehouse, target)
        warehouse.setup(GROUP)
        assert snapshot_of(warehouse, target) == before

    def test_an_intention_is_kept_until_it_is_looked_for(self, harness: WarehouseHarness) -> None:
        made = harness.open()
        made.setup(GROUP)
        made.intend(GROUP)
        made.intend(GROUP)
        made.close()
        again = harness.open()
        assert (again.intended(GROUP), again.intended("another"), again.checkpoint(GROUP)) == (True, False, None)

    def test_a_group_is_begun_once(self, warehouse: Warehouse, harness: WarehouseHarness) -> None:
        with pytest.raises(Fenced):
            warehouse.begin(attrs.evolve(FIRST, position=Position({"lsn": 7})))
        warehouse.close()
        assert harness.open().checkpoint(GROUP) == FIRST

    def test_groups_do_not_touch_each_other(self, warehouse: Warehouse) -> None:
        other = attrs.evolve(FIRST, group="other", position=Position({"lsn": 7}))
        warehouse.begin(other)
        moved = load(warehouse, create(warehouse, target_for()), [Log().insert(id=1, name="a")])
        assert (warehouse.checkpoint("other"), warehouse.checkpoint(GROUP)) == (other, moved)
        assert (warehouse.states("other"), warehouse.audit("other")) == ({}, [])

    def test_groups_whose_names_differ_by_case_alone_do_not_touch_each_other(self, warehouse: Warehouse) -> None:
        other = attrs.evolve(FIRST, group=GROUP.capitalize(), position=Position({"lsn": 7}))
        assert warehouse.checkpoint(other.group) is None
        warehouse.begin(other)
        moved = load(warehouse, create(warehouse, target_for()), [Log().insert(id=1, name="a")])
        assert (warehouse.checkpoint(other.group), warehouse.checkpoint(GROUP)) == (other, moved)

    def test_a_position_of_many_parts_and_an_instant_come_back_as_they_were(self, harness: WarehouseHarness) -> None:
        made = harness.open()
        made.setup(GROUP)
        at = datetime(2026, 2, 1, 12, 0, 0, 123456, tzinfo=UTC)
        checkpoint = Checkpoint("odd 'group\"", Position({"0": 2**64 - 1, "a'b": "é"}), load=3, epoch=2, at=at)
        made.begin(checkpoint)
        made.close()
        assert harness.open().checkpoint("odd 'group\"") == checkpoint

    def test_a_load_is_seen_whole_by_others_after_commit(self, warehouse: Warehouse, harness: WarehouseHarness) -> None:
        target = create(warehouse, target_for())
        checkpoint = load(warehouse, target, [Log().insert(id=1, name="a")])
        before = snapshot_of(warehouse, target)
        warehouse.close()
        again = harness.open()
        assert snapshot_of(again, target) == before
        assert again.checkpoint(GROUP) == checkpoint
        assert again.states(GROUP) == {"people": state_for(target)}
        assert again.current(target).to_pylist() == [{"id": 1, "name": "a"}]

    @pytest.mark.parametrize("mode", list(Mode))
    def test_a_load_that_is_left_without_commit_leaves_nothing(self, warehouse: Warehouse, mode: Mode) -> None:
        target = create(warehouse, target_for(mode))
        log = Log()
        checkpoint = load(warehouse, target, [log.insert(id=1, name="a")])
        before = snapshot_of(warehouse, target)
        with warehouse.load(checkpoint, following(checkpoint)) as opened:
            for step in plan_steps(target, change_table(PEOPLE, [log.insert(id=2, name="b"), log.delete(id=1)])):
                opened.apply(step)
            opened.quarantine(target, quarantine_rows((3, 1)))
            opened.set_state(attrs.evolve(state_for(target), schema_version=9))
        assert snapshot_of(warehouse, target) == before

    def test_a_load_that_fails_leaves_nothing(self, warehouse: Warehouse) -> None:
        target = create(warehouse, target_for())
        before = snapshot_of(warehouse, target)
        with pytest.raises(KeyError):
            _load_and_fail(warehouse, target)
        assert snapshot_of(warehouse, target) == before
        load(warehouse, target, [Log().insert(id=1, name="a")])

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

    def test_what_another_thread_asks_for_marts_does_not_touch_an_open_load(self, warehouse: Warehouse) -> None:
        target = create(warehouse, target_for())
        log = Log()
        first = load(warehouse, target, [log.insert(id=1, name="a")])
        second = following(first)

        def build_marts() -> bool:
            seen = warehouse.checkpoint(GROUP), warehouse.changed_since(GROUP, warehouse.transformed(GROUP))
            warehouse.set_transformed(GROUP, first.load)
            return seen in [(first, frozenset({"people"})), (second, frozenset({"people"}))]

        with ThreadPoolExecutor(1) as pool:
            with warehouse.load(first, second) as opened:
                is_one_or_the_other = pool.submit(build_marts)
                opened.commit({})
            assert is_one_or_the_other.result()
        load(warehouse, target, [log.insert(id=2, name="b")], after=second)
        assert (warehouse.checkpoint(GROUP), warehouse.transformed(GROUP)) == (following(second), first.load)

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

    def test_idle_moves_the_checkpoint_alone(self, warehouse: Warehouse) -> None:
        target = create(warehouse, target_for())
        checkpoint = load(warehouse, target, [Log().insert(id=1, name="a")])
        rows, audit = content(warehouse.rows(target)), warehouse.audit(GROUP)
        warehouse.idle(checkpoint, following(checkpoint))
        assert warehouse.checkpoint(GROUP) == following(checkpoint)
        assert (content(warehouse.rows(target)), warehouse.audit(GROUP)) == (rows, audit)
        load(warehouse, target, [Log(lsn=200).insert(id=2, name="b")], after=following(checkpoint))

    def test_a_reset_replaces_the_checkpoint_by_one_of_a_later_epoch(self, warehouse: Warehouse) -> None:
        back = attrs.evolve(FIRST, position=Position({"lsn": 1}), epoch=1, load=1)
        with pytest.raises(Fenced):
            warehouse.reset(following(FIRST), back)
        with pytest.raises((PipelineError, ValueError)):
            warehouse.reset(FIRST, attrs.evolve(back, epoch=0))
        assert warehouse.checkpoint(GROUP) == FIRST
        warehouse.reset(FIRST, back)
        assert warehouse.checkpoint(GROUP) == back

    def test_the_audit_tells_the_latest_loads_newest_first(self, warehouse: Warehouse) -> None:
        target = create(warehouse, target_for())
        log, checkpoints = Log(), [FIRST]
        for number in range(3):
            checkpoints.append(load(warehouse, target, [log.insert(id=number, name="a")], after=checkpoints[-1]))
        counts = StreamCounts(read_count=1, changelog_count=1, applied_count=1)
        found = [{name: row[name] for name in ("load", "position", "at", "counts")} for row in warehouse.audit(GROUP)]
        assert found == [
            {"load": made.load, "position": made.position.encode(), "at": made.at, "counts": {"people": counts}}
            for made in reversed(checkpoints[1:])
        ]
        assert all(float(str(row["seconds"])) >= 0 for row in warehouse.audit(GROUP))
        assert [row["load"] for row in warehouse.audit(GROUP, limit=1)] == [3]

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

    def test_closing_twice_is_safe(self, warehouse: Warehouse) -> None:
        warehouse.close()
        warehouse.close()

    def test_no_error_tells_a_row_value(self, warehouse: Warehouse) -> None:
        target = create(warehouse, target_for())
        missing = Target("none", "shop__none", Mode.MIRROR, PEOPLE)
        with pytest.raises(PipelineError) as caught:
            load(warehouse, missing, [Log().insert(id=1, name=CANARY)])
        texts = [str(caught.value), repr(caught.value.facts), str(caught.value.__cause__)]
        assert not any(CANARY in text for text in texts)
        assert warehouse.current(target).num_rows == 0
        assert warehouse.checkpoint(GROUP) == FIRST


def _load_and_fail(warehouse: Warehouse, target: Target) -> None:
    with warehouse.load(FIRST, following(FIRST)) as opened:
        opened.replace(target)
        opened.apply(plan_steps(target, change_table(PEOPLE, [Log().insert(id=1, name="a")]))[0])
        raise KeyError("a fault in the middle")
