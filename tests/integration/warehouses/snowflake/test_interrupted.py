"""Migrations and rebuilds are not one transaction: ended at any statement they go on, or are put right (D10, G8)."""

from __future__ import annotations

import attrs
import pyarrow as pa
import pytest

from adapters.warehouses.snowflake import build
from pipeline.domain.errors import PipelineError
from pipeline.domain.loading import AddColumn, ChangeType, Migration
from pipeline.domain.renaming import ordered_renames
from pipeline.domain.schema import Column, StreamSchema
from pipeline.domain.stream import Mode
from tests.conformance.warehouse_ground import (
    FIRST,
    GROUP,
    PEOPLE,
    create,
    load,
    snapshot_of,
    target_for,
    told_as_of,
)
from tests.support.emulator import Emulator
from tests.support.statement_order import complaints
from tests.support.told import Log

pytestmark = pytest.mark.slow(seconds=270)

#: What changes something.
_CHANGES = r"^(CREATE|ALTER|DROP|INSERT|UPDATE|DELETE|MERGE)"


def _migrations() -> dict[str, Migration]:
    age = Column("age", pa.int32(), default=pa.scalar(7, pa.int32()))
    wishes = [*zip(PEOPLE.columns, ("name", "id"), strict=True)]
    swapped = [attrs.evolve(column, name=name) for column, name in wishes]
    wide = Column("id", pa.string(), nullable=False)
    return {
        "create": Migration(target_for()),
        "add": Migration(
            target_for(schema=StreamSchema([*PEOPLE.columns, age], key=("id",)), version=2), PEOPLE, (AddColumn(age),)
        ),
        "swap": Migration(
            target_for(schema=StreamSchema(swapped, key=("name",)), version=2), PEOPLE, ordered_renames(wishes)
        ),
        "widen": Migration(
            target_for(schema=StreamSchema([wide, PEOPLE.columns[1]], key=("id",)), version=2),
            PEOPLE,
            (ChangeType(wide),),
        ),
    }


@pytest.mark.parametrize("name", list(_migrations()))
def test_a_migration_interrupted_anywhere_goes_on_where_it_stopped(emulator: Emulator, name: str) -> None:
    migration, count = _migrations()[name], 0
    expected = None
    while True:
        fresh = emulator.new_database()
        made = build("warehouse", emulator.options(fresh))
        made.setup(GROUP)
        made.begin(FIRST)
        checkpoint = FIRST
        if migration.before is not None:
            create(made, target_for())
            log = Log()
            checkpoint = load(
                made,
                target_for(),
                [log.insert(id=1, name="a"), log.update(id=2, old_key={"id": 1}, unchanged=("name",))],
            )
        if expected is not None:
            # the statement after ``count`` others of the migration is ended by somebody
            emulator.fault(fresh, pattern=_CHANGES, kind="killed", skip=count)
        try:
            made.migrate(checkpoint, [migration])
            interrupted = False
        except PipelineError:
            interrupted = True
            made.migrate(checkpoint, [migration])
        found = (
            made.rows(migration.target).sort_by(migration.target.schema.key[0]).to_pylist(),
            made.changelog(migration.target).drop_columns(["_cdc_loaded_at"]).to_pylist(),
        )
        if expected is None:
            expected = found
        else:
            assert found == expected, f"interrupted after {count} statements"
            count += 1
        made.close()
        emulator.drop(fresh)
        if expected is not None and count and not interrupted:
            break
    assert count > 3


@pytest.mark.parametrize("name", ["add", "swap", "widen"])
@pytest.mark.parametrize("where", ["migrate", "undo"])
def test_an_interrupted_migration_is_undone_by_setup_and_so_is_an_interrupted_undoing(
    emulator: Emulator, name: str, where: str
) -> None:
    migration, count, is_done = _migrations()[name], 0, False
    while not is_done:
        database = emulator.new_database()
        made = build("warehouse", emulator.options(database))
        made.setup(GROUP)
        made.begin(FIRST)
        create(made, target_for())
        log = Log()
        changes = [log.insert(id=1, name="a"), log.update(id=2, old_key={"id": 1}, unchanged=("name",))]
        checkpoint = load(made, target_for(), changes)
        told = snapshot_of(made, target_for())
        if where == "undo":
            made.migrate(checkpoint, [migration])
        emulator.fault(database, pattern=_CHANGES, kind="killed", skip=count)
        try:
            if where == "undo":
                made.setup(GROUP)
            else:
                made.migrate(checkpoint, [migration])
            is_done = True
        except PipelineError:
            made.setup(GROUP)
        if where == "undo" or not is_done:
            present = made.checkpoint(GROUP)
            assert present is not None
            assert present.position == checkpoint.position
            assert snapshot_of(made, target_for()) == told_as_of(told, present), f"interrupted after {count} statements"
        made.close()
        emulator.drop(database)
        count += 1
    assert count > 2


@pytest.mark.parametrize(
    ("before", "after"), [(Mode.APPEND, Mode.MIRROR), (Mode.MIRROR, Mode.APPEND), (Mode.MIRROR, Mode.HISTORY)]
)
def test_a_rebuild_interrupted_anywhere_is_put_right_by_setup(emulator: Emulator, before: Mode, after: Mode) -> None:
    count, is_done = 0, False
    while not is_done:
        database = emulator.new_database()
        made = build("warehouse", emulator.options(database))
        made.setup(GROUP)
        made.begin(FIRST)
        checkpoint = load(made, create(made, target_for(before)), [Log().insert(id=1, name="a")])
        emulator.fault(database, pattern=_CHANGES, kind="killed", skip=count)
        try:
            made.rebuild(checkpoint, target_for(after))
            is_done = True
        except PipelineError:
            made.setup(GROUP)
        target = target_for(made.states(GROUP)["people"].mode)
        assert target.mode is after or (target.mode is before and not is_done)
        assert made.current(target).to_pylist() == [{"id": 1, "name": "a"}], f"interrupted after {count} statements"
        if not is_done:
            present = made.checkpoint(GROUP)
            assert present is not None
            load(made, target, [Log(lsn=300).insert(id=2, name="b")], after=present)
            assert made.current(target).num_rows == 2
        made.close()
        assert complaints(emulator.seen(database)) == []
        emulator.drop(database)
        count += 1
    assert count > 2
