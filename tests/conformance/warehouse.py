"""What every warehouse owes to the pipeline: one test per obligation of ``pipeline.ports.warehouse``.

Subclass each suite in the adapter's tests and give it a harness (``warehouse_ground``). Fences are in
``warehouse_fences``, migrations in ``warehouse_migrations``, loading by mode in ``warehouse_modes``; values, names,
quarantine and comparing in ``warehouse_rows``.
"""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import attrs
import pytest

from pipeline.domain.bookmarks import NO_BOOKMARKS, bookmarks, plain_bookmarks
from pipeline.domain.checkpoint import Checkpoint
from pipeline.domain.counts import StreamCounts
from pipeline.domain.errors import Fenced, PipelineError
from pipeline.domain.loading import (
    Target,
)
from pipeline.domain.planning import plan_steps
from pipeline.domain.position import Position
from pipeline.domain.stream import Mode
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
)
from tests.support.tables import content
from tests.support.told import Log, change_table


class WarehouseConformance(WarehouseSuite):
    """Checkpoints, bookmarks, groups, transactions and the audit."""

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

    def test_groups_begin_side_by_side(self, harness: WarehouseHarness) -> None:
        made = harness.open()
        groups = [attrs.evolve(FIRST, group=f"group{number}") for number in range(4)]
        together = threading.Barrier(len(groups), timeout=60)

        def begin(first: Checkpoint) -> None:
            together.wait()
            made.setup(first.group)
            made.begin(first)
            create(made, attrs.evolve(target_for(), stream=first.group, table=f"shop__{first.group}"), first)

        with ThreadPoolExecutor(len(groups)) as pool:
            list(pool.map(begin, groups))
        assert [made.checkpoint(first.group) for first in groups] == groups
        made.close()

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
