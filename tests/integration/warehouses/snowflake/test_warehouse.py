"""What is Snowflake's own: idle comments, statement counts, interrupted steps, sizes, tags."""

from __future__ import annotations

import attrs
import pyarrow as pa
import pytest

from adapters.warehouses.snowflake import build, checkpoints, uploading
from adapters.warehouses.snowflake.options import parse
from adapters.warehouses.snowflake.session import open_session
from adapters.warehouses.snowflake.warehouse import SnowflakeWarehouse
from pipeline.domain.errors import Fenced
from pipeline.domain.loading import Migration, RenameColumn, Target
from pipeline.domain.planning import plan_copy, plan_steps
from pipeline.domain.position import Position
from pipeline.domain.schema import Column, StreamSchema
from pipeline.domain.stream import Mode
from tests.conformance.warehouse_ground import (
    CANARY,
    FIRST,
    GROUP,
    PEOPLE,
    create,
    following,
    load,
    quarantine_rows,
    state_for,
    target_for,
)
from tests.support.emulator import Emulator
from tests.support.told import Log, change_table


def another(emulator: Emulator, database: str, **options: object) -> SnowflakeWarehouse:
    return build("another", {**emulator.options(database), **options})


def words(emulator: Emulator, database: str, *, since: int) -> list[str]:
    """The first words of the statements that arrived since then."""
    texts = [each.text.partition("/*")[0] for each in emulator.seen(database)[since:]]
    return [" ".join(text.split()[:2]).upper() for text in texts]


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        (Mode.MIRROR, ["COPY INTO", "MERGE INTO"]),
        (Mode.SOFT_DELETE, ["COPY INTO", "MERGE INTO"]),
        (Mode.HISTORY, ["COPY INTO", "MERGE INTO"]),
        (Mode.APPEND, ["COPY INTO"]),
    ],
)
def test_a_batch_is_one_copy_and_one_merge_between_checkpoint_and_audit(
    warehouse: SnowflakeWarehouse, emulator: Emulator, database: str, mode: Mode, expected: list[str]
) -> None:
    target, log = create(warehouse, target_for(mode)), Log()
    checkpoint = load(warehouse, target, [log.insert(id=number, name="a") for number in range(5)])
    since = len(emulator.seen(database))
    changes = [log.commit().update(id=1, unchanged=("name",)), log.delete(id=2), log.update(old_key={"id": 3}, id=9)]
    with warehouse.load(checkpoint, following(checkpoint)) as opened:
        for step in plan_steps(target, change_table(PEOPLE, changes)):
            opened.apply(step)
        opened.commit({})
    told = [word for word in words(emulator, database, since=since) if not word.startswith("PUT")]
    assert told == ["BEGIN NAME", 'UPDATE "PIPELINE"."CHECKPOINT_SHOP"', *expected, "INSERT INTO", "COMMIT", told[-1]]
    assert told[-1].startswith("REMOVE")


def test_a_copy_is_uploaded_once_and_filled_from_the_changelog(
    warehouse: SnowflakeWarehouse, emulator: Emulator, database: str
) -> None:
    target, log = create(warehouse, target_for()), Log()
    load(warehouse, target, [log.insert(id=1, name="old")])
    since = len(emulator.seen(database))
    after = following(FIRST)
    with warehouse.load(after, following(after)) as opened:
        opened.replace(target)
        for number in range(3):
            rows = [log.snapshot(id=10 * number + each, name="new") for each in range(2)]
            opened.apply(plan_copy(target, change_table(PEOPLE, rows)))
        opened.finish_replace(target)
        opened.commit({})
    told = words(emulator, database, since=since)
    assert sum(word.startswith("COPY") for word in told) == 1
    assert not [word for word in told if word.startswith("MERGE")]
    assert [row["id"] for row in warehouse.current(target).sort_by("id").to_pylist()] == [0, 1, 10, 11, 20, 21]


def test_an_idle_checkpoint_is_metadata_alone(warehouse: SnowflakeWarehouse, emulator: Emulator, database: str) -> None:
    since = len(emulator.seen(database))
    warehouse.idle(FIRST, following(FIRST))
    other = another(emulator, database)
    assert other.checkpoint(GROUP) == following(FIRST)
    other.close()
    told = [word for word in words(emulator, database, since=since) if not word.startswith("(")]
    told_by_metadata, read = ["SHOW TABLES", 'SELECT MAX("LOAD"),'], ["SHOW TABLES", 'SELECT "POSITION",']
    assert told == [*told_by_metadata, "COMMENT ON", *read]


def test_a_load_outdates_the_comment_of_a_writer_that_slept(
    warehouse: SnowflakeWarehouse, emulator: Emulator, database: str
) -> None:
    target = create(warehouse, target_for())
    sleeper = another(emulator, database)
    idle = following(FIRST)
    sleeper.idle(FIRST, idle)
    assert warehouse.checkpoint(GROUP) == idle
    farther = load(warehouse, target, [Log().insert(id=1, name="a")], after=idle)
    with pytest.raises(Fenced):
        sleeper.idle(idle, following(idle))
    with pytest.raises(Fenced):
        load(sleeper, target, [Log().insert(id=2, name="b")], after=idle)
    assert warehouse.checkpoint(GROUP) == sleeper.checkpoint(GROUP) == farther
    sleeper.close()


def test_a_comment_that_is_written_after_others_have_loaded_is_void(
    warehouse: SnowflakeWarehouse, emulator: Emulator, database: str
) -> None:
    loaded = load(warehouse, create(warehouse, target_for()), [Log().insert(id=1, name="a")])
    farther = attrs.evolve(FIRST, position=Position({"lsn": 500}), load=1)
    session = open_session(parse("warehouse", emulator.options(database)))
    session.execute(checkpoints.note_idle(FIRST, farther))  # as a writer that slept after it had read the first row
    session.close()
    other = another(emulator, database)
    assert other.checkpoint(GROUP) == loaded
    other.close()


def test_a_reset_makes_an_idle_comment_void(warehouse: SnowflakeWarehouse, emulator: Emulator, database: str) -> None:
    idle = following(FIRST)
    warehouse.idle(FIRST, idle)
    back = attrs.evolve(FIRST, position=Position({"lsn": 1}), epoch=1, load=5)
    warehouse.reset(idle, back)
    other = another(emulator, database)
    assert other.checkpoint(GROUP) == back
    other.close()


def test_changelogs_are_transient_where_asked(emulator: Emulator, database: str) -> None:
    made = another(emulator, database, transient_changelogs=True)
    made.setup(GROUP)
    create(made, target_for())
    made.close()
    texts = [each.text for each in emulator.seen(database)]
    assert [text.split('"')[0] for text in texts if '"CHANGELOG"."SHOP__PEOPLE" (' in text] == [
        "CREATE TRANSIENT TABLE IF NOT EXISTS "
    ]


def test_no_statement_tells_a_row_value_but_bound(
    warehouse: SnowflakeWarehouse, emulator: Emulator, database: str
) -> None:
    target, log = create(warehouse, target_for()), Log()
    checkpoint = load(warehouse, target, [log.insert(id=1, name=CANARY), log.commit().update(id=1, name=CANARY)])
    moved = following(checkpoint)
    with warehouse.load(checkpoint, moved) as opened:
        opened.quarantine(target, quarantine_rows((1, 10)))
        opened.set_state(state_for(target))
        opened.commit({})
    warehouse.compare(target, [pa.Table.from_pylist([{"id": 1, "name": CANARY}], schema=PEOPLE.arrow())])
    renamed = StreamSchema([PEOPLE.columns[0], Column("label", pa.string())], key=("id",))
    after = Target("people", "shop__people", Mode.MIRROR, renamed, 2)
    warehouse.migrate(moved, [Migration(after, PEOPLE, (RenameColumn("name", renamed.columns[1]),))])
    warehouse.rebuild(moved, attrs.evolve(after, mode=Mode.HISTORY))
    assert warehouse.current(attrs.evolve(after, mode=Mode.HISTORY)).to_pylist() == [{"id": 1, "label": CANARY}]
    assert not [each.text for each in emulator.seen(database) if CANARY in each.text]


def test_statements_say_which_load_and_table_they_belong_to(
    warehouse: SnowflakeWarehouse, emulator: Emulator, database: str
) -> None:
    load(warehouse, create(warehouse, target_for()), [Log().insert(id=1, name="a")])
    ends = [each.text.partition("\n/* ") for each in emulator.seen(database) if each.text.endswith("*/")]
    assert [(text.split(maxsplit=1)[0], told) for text, _, told in ends] == [
        ("BEGIN", "load 1 */"),
        ("UPDATE", "load 1 */"),
        ("COPY", "load 1, shop__people */"),
        ("MERGE", "load 1, shop__people */"),
        ("MERGE", "load 1 */"),
        ("INSERT", "load 1 */"),
        ("COMMIT", "load 1 */"),
    ]


def test_large_tables_of_a_copy_become_several_files_of_one_statement(
    warehouse: SnowflakeWarehouse, emulator: Emulator, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uploading, "FILE_BYTES", 1)
    target, log = create(warehouse, target_for()), Log()
    with warehouse.load(FIRST, following(FIRST)) as opened:
        opened.replace(target)
        for number in range(12):
            opened.apply(plan_copy(target, change_table(PEOPLE, [log.snapshot(id=number, name="a")])))
        opened.finish_replace(target)
        opened.commit({})
    copies = [each.text for each in emulator.seen(database) if each.text.startswith("COPY")]
    assert [text.count(".parquet'") for text in copies] == [12]
    assert warehouse.current(target).num_rows == 12
