"""What loads do to staging tables in each mode, told as whole tables; the suite's ground is in ``warehouse_ground``."""

from __future__ import annotations

from datetime import timedelta

import attrs
import pyarrow as pa
import pytest

from pipeline.domain.checkpoint import Checkpoint
from pipeline.domain.loading import Target
from pipeline.domain.position import Sequence
from pipeline.domain.stream import Mode
from pipeline.ports.warehouse import Warehouse
from tests.conformance.warehouse_ground import FIRST, GROUP, WarehouseSuite, create, load, target_for
from tests.support.tables import content
from tests.support.told import Log

KEYED = (Mode.MIRROR, Mode.SOFT_DELETE, Mode.HISTORY)
LATER = timedelta(seconds=1)


def brief(table: pa.Table) -> list[str]:
    """Rows in a line each: id, name, operation, valid from and to as ``commit.ordinal``, then what is not the rule."""
    return sorted(_brief(row) for row in table.to_pylist())


def _brief(row: dict[str, object]) -> str:
    flags = " deleted" * bool(row["_cdc_deleted"]) + " past" * (not row["_cdc_current"])
    interval = f"{_place(row['_cdc_valid_from'])}-{_place(row['_cdc_valid_to'])}"
    return f"{row['id']} {row['name']} {row['_cdc_op']} {interval} load {row['_cdc_load']}{flags}"


def _place(packed: object) -> str:
    if packed is None:
        return ""
    sequence = Sequence.unpack(int(str(packed)))
    return f"{sequence.commit}.{sequence.ordinal}"


def _every_switch() -> list[Mode]:
    """A walk that takes every way from one mode to another, and from each to itself, once."""
    modes = list(Mode)
    walk = [
        [one, *(step for other in modes[number + 1 :] for step in (one, other))] for number, one in enumerate(modes)
    ]
    return [mode for part in walk for mode in part] + modes[:1]


def _load_all(warehouse: Warehouse, target: Target, checkpoint: Checkpoint) -> Checkpoint:
    """Loads with all that a rebuild has to take heed of."""
    log = Log()
    loads = [
        ([log.insert(id=1, name="a"), log.insert(id=2, name="b")], False),
        ([log.commit().update(old_key={"id": 1}, id=3, unchanged=("name",)), log.delete(id=2)], False),
        ([log.commit().snapshot(id=3, name="copied"), log.snapshot(id=5, name="e")], True),
        ([log.commit().insert(id=6, name="f"), log.truncate(), log.insert(id=5, name="g")], False),
    ]
    for changes, is_copy in loads:
        checkpoint = load(warehouse, target, changes, after=checkpoint, is_copy=is_copy)
    return checkpoint


class WarehouseModesConformance(WarehouseSuite):
    """Mirror, soft delete, history and append."""

    def test_mirror_holds_the_rows_that_exist(self, warehouse: Warehouse) -> None:
        target, log = create(warehouse, target_for(Mode.MIRROR)), Log()
        checkpoint = load(warehouse, target, [log.insert(id=1, name="a"), log.insert(id=2, name="b")])
        log.commit()
        load(
            warehouse,
            target,
            [log.update(id=1, name="c"), log.delete(id=2), log.insert(id=3, name="d")],
            after=checkpoint,
        )
        assert brief(warehouse.rows(target)) == ["1 c update 110.0- load 2", "3 d insert 110.2- load 2"]

    def test_soft_delete_keeps_what_a_deleted_row_was(self, warehouse: Warehouse) -> None:
        target, log = create(warehouse, target_for(Mode.SOFT_DELETE)), Log()
        checkpoint = load(warehouse, target, [log.insert(id=1, name="a"), log.insert(id=2, name="b")])
        log.commit()
        changes = [log.delete(id=1), log.insert(id=3, name="c"), log.delete(id=3), log.update(old_key={"id": 2}, id=4)]
        checkpoint = load(warehouse, target, changes, after=checkpoint)
        assert brief(warehouse.rows(target)) == [
            "1 a delete 110.0- load 2 deleted",
            "2 b delete 110.3- load 2 deleted",
            "3 c delete 110.2- load 2 deleted",
            "4 None update 110.3- load 2",
        ]
        log.commit()
        load(warehouse, target, [log.insert(id=1, name="again"), log.truncate()], after=checkpoint)
        assert brief(warehouse.rows(target)) == [
            "1 again truncate 120.1- load 3 deleted",
            "2 b delete 110.3- load 2 deleted",
            "3 c delete 110.2- load 2 deleted",
            "4 None truncate 120.1- load 3 deleted",
        ]
        assert warehouse.current(target).num_rows == 0

    def test_history_has_a_version_per_key_and_commit(self, warehouse: Warehouse) -> None:
        target, log = create(warehouse, target_for(Mode.HISTORY)), Log()
        first = [log.insert(id=1, name="a"), log.insert(id=2, name="b")]
        second = [log.commit().update(id=1, name="x"), log.update(id=1, name="c"), log.delete(id=2)]
        third = [log.commit().insert(id=2, name="b")]
        load(warehouse, target, first + second + third)
        assert brief(warehouse.rows(target)) == [
            "1 a insert 100.0-110.1 load 1 past",
            "1 c update 110.1- load 1",
            "2 b insert 100.1-110.2 load 1 past",
            "2 b insert 120.0- load 1",
        ]

    @pytest.mark.parametrize("is_cut", [False, True], ids=["one piece", "a piece each"])
    def test_history_of_a_commit_is_the_same_however_it_is_cut(self, warehouse: Warehouse, is_cut: bool) -> None:
        target, log = create(warehouse, target_for(Mode.HISTORY)), Log()
        checkpoint = load(warehouse, target, [log.insert(id=1, name="a"), log.insert(id=2, name="b")])
        log.commit()
        changes = [
            log.update(id=1, name="x"),
            log.update(id=1, name="a"),
            log.delete(id=2),
            log.insert(id=2, name="c"),
            log.insert(id=3, name="d"),
            log.delete(id=3),
        ]
        pieces = [[change] for change in changes] if is_cut else [changes]
        load(warehouse, target, *pieces, after=checkpoint)
        assert brief(warehouse.rows(target)) == [
            "1 a insert 100.0- load 1",
            "2 b insert 100.1-110.3 load 1 past",
            "2 c insert 110.3- load 2",
        ]

    def test_an_update_that_changes_nothing_makes_no_version(self, warehouse: Warehouse) -> None:
        target, log = create(warehouse, target_for(Mode.HISTORY)), Log()
        checkpoint = load(warehouse, target, [log.insert(id=1, name="a"), log.insert(id=2, name=None)])
        log.commit()
        same = [log.update(id=1, name="a"), log.update(id=2, name=None), log.update(id=1, unchanged=("name",))]
        load(warehouse, target, same, after=checkpoint)
        assert brief(warehouse.rows(target)) == ["1 a insert 100.0- load 1", "2 None insert 100.1- load 1"]

    def test_intervals_do_not_overlap_in_time_when_clocks_go_back(self, warehouse: Warehouse) -> None:
        target, log = create(warehouse, target_for(Mode.HISTORY)), Log()
        start = log.at
        changes = [log.insert(id=1, name="a")]
        changes += [log.commit(after=-LATER).update(id=1, name="b")]
        changes += [log.commit(after=2 * LATER).delete(id=1)]
        changes += [log.commit(after=-2 * LATER).insert(id=1, name="c")]
        load(warehouse, target, changes)
        rows = warehouse.rows(target).sort_by("_cdc_valid_from").to_pylist()
        assert [(row["name"], row["_cdc_valid_from_at"], row["_cdc_valid_to_at"]) for row in rows] == [
            ("a", start, start),
            ("b", start, start + LATER),
            ("c", start + LATER, None),
        ]

    def test_append_shows_every_change(self, warehouse: Warehouse) -> None:
        target, log = create(warehouse, target_for(Mode.APPEND)), Log()
        changes = [log.insert(id=1, name="a"), log.update(id=1, unchanged=("name",)), log.delete(id=1), log.truncate()]
        load(warehouse, target, changes)
        assert brief(warehouse.rows(target)) == [
            "1 None delete 100.2- load 1 deleted",
            "1 None update 100.1- load 1",
            "1 a insert 100.0- load 1",
            "None None truncate 100.3- load 1 deleted",
        ]

    @pytest.mark.parametrize("mode", KEYED)
    def test_unchanged_columns_follow_their_row_through_key_changes(self, warehouse: Warehouse, mode: Mode) -> None:
        target, log = create(warehouse, target_for(mode)), Log()
        checkpoint = load(warehouse, target, [log.insert(id=1, name="one"), log.insert(id=2, name="two")])
        log.commit()
        moves = ((1, 9), (2, 1), (9, 2))
        swap = [log.update(old_key={"id": old}, id=new, unchanged=("name",)) for old, new in moves]
        load(warehouse, target, swap, after=checkpoint)
        rows = sorted(warehouse.current(target).to_pylist(), key=lambda row: row["id"])
        assert rows == [{"id": 1, "name": "two"}, {"id": 2, "name": "one"}]

    @pytest.mark.parametrize("mode", KEYED)
    def test_only_what_was_there_before_a_truncate_is_gone(self, warehouse: Warehouse, mode: Mode) -> None:
        target, log = create(warehouse, target_for(mode)), Log()
        checkpoint = load(warehouse, target, [log.insert(id=1, name="a"), log.insert(id=2, name="b")])
        log.commit()
        changes = [log.insert(id=3, name="c"), log.truncate(), log.insert(id=2, name="d")]
        load(warehouse, target, changes, after=checkpoint)
        assert warehouse.current(target).to_pylist() == [{"id": 2, "name": "d"}]

    @pytest.mark.parametrize("mode", KEYED)
    def test_an_older_change_never_overwrites_a_newer_row(self, warehouse: Warehouse, mode: Mode) -> None:
        target, log = create(warehouse, target_for(mode)), Log()
        older = [log.insert(id=1, name="old"), log.insert(id=2, name="old")]
        newer = [log.commit().update(id=1, name="new"), log.update(id=2, name="new")]
        checkpoint = load(warehouse, target, newer)
        before = content(warehouse.rows(target))
        load(warehouse, target, older, after=checkpoint)
        assert content(warehouse.rows(target)) == before

    @pytest.mark.parametrize("mode", KEYED)
    def test_the_order_is_that_of_the_log_whatever_the_clocks_say(self, warehouse: Warehouse, mode: Mode) -> None:
        target, log = create(warehouse, target_for(mode)), Log()
        checkpoint = load(warehouse, target, [log.insert(id=1, name="first")])
        checkpoint = load(
            warehouse, target, [log.commit(after=timedelta(hours=-1)).update(id=1, name="last")], after=checkpoint
        )
        between = Log(lsn=105, at=log.at + timedelta(days=1))
        load(warehouse, target, [between.update(id=1, name="between")], after=checkpoint)
        assert warehouse.current(target).to_pylist() == [{"id": 1, "name": "last"}]

    @pytest.mark.parametrize("mode", KEYED)
    def test_a_load_applied_twice_leaves_what_once_leaves(self, warehouse: Warehouse, mode: Mode) -> None:
        target, log = create(warehouse, target_for(mode)), Log()
        changes = [log.insert(id=1, name="a"), log.truncate(), log.insert(id=2, name="b"), log.insert(id=3, name="c")]
        changes += [log.update(old_key={"id": 2}, id=4, unchanged=("name",)), log.delete(id=3)]
        checkpoint = load(warehouse, target, changes)
        before = content(warehouse.rows(target))
        load(warehouse, target, changes, after=checkpoint)
        assert content(warehouse.rows(target)) == before

    @pytest.mark.parametrize("mode", KEYED)
    def test_a_copy_takes_the_place_of_what_was_there(self, warehouse: Warehouse, mode: Mode) -> None:
        target, log = create(warehouse, target_for(mode)), Log()
        checkpoint = load(warehouse, target, [log.insert(id=1, name="a"), log.insert(id=2, name="b")])
        log.commit()
        copied = [[log.snapshot(id=2, name="b")], [log.snapshot(id=3, name="c")]]
        load(warehouse, target, *copied, after=checkpoint, is_copy=True)
        fresh = ["2 b snapshot 110.0- load 2", "3 c snapshot 110.1- load 2"]
        reconciled = ["1 a insert 100.0-110.2 load 1 past", "2 b insert 100.1- load 1", "3 c snapshot 110.1- load 2"]
        assert brief(warehouse.rows(target)) == (reconciled if mode is Mode.HISTORY else fresh)
        assert warehouse.changelog(target).num_rows == 4

    @pytest.mark.parametrize("mode", KEYED)
    def test_an_empty_copy_empties_the_table(self, warehouse: Warehouse, mode: Mode) -> None:
        target, log = create(warehouse, target_for(mode)), Log()
        checkpoint = load(warehouse, target, [log.insert(id=1, name="a")])
        load(warehouse, target, after=checkpoint, is_copy=True)
        closed = ["1 a insert 100.0-100.1 load 1 past"]
        assert brief(warehouse.rows(target)) == (closed if mode is Mode.HISTORY else [])
        assert warehouse.current(target).num_rows == 0

    def test_a_rebuild_makes_what_loads_in_that_mode_would_have(self, warehouse: Warehouse) -> None:
        first, *others = _every_switch()
        checkpoint = _load_all(warehouse, create(warehouse, target_for(first)), FIRST)
        direct = {}
        for mode in Mode:
            begun = attrs.evolve(FIRST, group=mode.value)
            warehouse.begin(begun)
            target = create(warehouse, attrs.evolve(target_for(mode), table=f"shop__{mode.value}"))
            _load_all(warehouse, target, begun)
            direct[mode] = content(warehouse.rows(target))
        for mode in others:
            before = warehouse.states(GROUP)["people"].mode
            checkpoint = warehouse.rebuild(checkpoint, target_for(mode))
            assert content(warehouse.rows(target_for(mode))) == direct[mode], f"from {before}"
            assert warehouse.states(GROUP)["people"].mode is mode
