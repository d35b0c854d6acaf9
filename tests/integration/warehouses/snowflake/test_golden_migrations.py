"""Every statement by which tables change, as the service gets it, compared whole with the file that shows it.

``UPDATE_GOLDEN=1`` writes the files anew; read the difference before committing it.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

import attrs
import pyarrow as pa
import pytest

from adapters.warehouses.snowflake.warehouse import SnowflakeWarehouse
from pipeline.domain.checkpoint import Checkpoint
from pipeline.domain.loading import AddColumn, ChangeType, DropColumn, Migration, RenameColumn, SchemaChange, Target
from pipeline.domain.schema import Column, StreamSchema
from pipeline.domain.stream import Mode
from tests.conformance.warehouse_ground import GROUP, create, following, load, quarantine_rows, target_for
from tests.support.emulator import Emulator
from tests.support.told import Log

GOLDEN = Path(__file__).parent / "golden"

ID, NAME = Column("id", pa.int64(), nullable=False), Column("name", pa.string())
PRICE = Column("price", pa.decimal128(9, 2))
BEFORE = StreamSchema([ID, NAME, PRICE], key=("id",))
AGE = Column("age", pa.int32(), default=pa.scalar(7, pa.int32()))
TAGS = Column("tags", pa.list_(pa.string()), default=pa.scalar(["a"], pa.list_(pa.string())))
NUMBER, LABEL = attrs.evolve(ID, name="number"), attrs.evolve(NAME, name="label")
WIDER, TEXT = attrs.evolve(PRICE, type=pa.decimal128(12, 2)), attrs.evolve(ID, type=pa.string())

#: What changes something; every other statement only reads.
_CHANGES = re.compile(r"(BEGIN|COMMIT|ROLLBACK|CREATE|ALTER|DROP|COMMENT|INSERT|UPDATE|DELETE|MERGE|COPY)\b")
#: The folder of an attempt is named anew each time.
_FOLDER = re.compile(r"\d{8}-[0-9a-f]{32}")


def changed(columns: list[Column], *changes: SchemaChange, mode: Mode = Mode.MIRROR) -> Migration:
    key = [column.name for column in columns if not column.nullable]
    return Migration(target_for(mode, StreamSchema(columns, key=key), version=2), BEFORE, changes)


def filled(warehouse: SnowflakeWarehouse, target: Target) -> Checkpoint:
    """A load with what holds names within its rows: an unchanged column, an old key, a waiting row."""
    log = Log()
    after = load(warehouse, target, [log.insert(id=1, name="a"), log.insert(id=2, name="b")])
    moved = [log.commit().update(id=1, unchanged=("name",)), log.update(old_key={"id": 2}, id=3, name="b")]
    after = load(warehouse, target, moved, after=after)
    with warehouse.load(after, following(after)) as opened:
        opened.quarantine(target, quarantine_rows((9, 10)))
        opened.commit({})
    return following(after)


MIGRATIONS: dict[str, Migration] = {
    "add_column": changed([ID, NAME, PRICE, Column("city", pa.string())], AddColumn(Column("city", pa.string()))),
    "add_column_with_default": changed([ID, NAME, PRICE, AGE, TAGS], AddColumn(AGE), AddColumn(TAGS)),
    "change_type_in_place": changed([ID, NAME, WIDER], ChangeType(WIDER)),
    "change_type_by_writing_anew": changed([TEXT, NAME, PRICE], ChangeType(TEXT)),
    "rename_columns": changed([NUMBER, LABEL, PRICE], RenameColumn("id", NUMBER), RenameColumn("name", LABEL)),
    "drop_column": changed([ID, NAME], DropColumn("price")),
    "add_column_in_append": changed([ID, NAME, PRICE, AGE], AddColumn(AGE), mode=Mode.APPEND),
}

MODES = {"rebuild_as_history": Mode.HISTORY, "rebuild_as_append": Mode.APPEND}


@pytest.mark.parametrize("name", [*MIGRATIONS, *MODES])
def test_statements_that_change_tables_are_those_of_the_golden_file(
    warehouse: SnowflakeWarehouse, emulator: Emulator, database: str, name: str
) -> None:
    target = create(warehouse, target_for(MIGRATIONS[name].target.mode if name in MIGRATIONS else Mode.MIRROR, BEFORE))
    after = filled(warehouse, target)
    since = len(emulator.seen(database))
    if name in MIGRATIONS:
        warehouse.migrate(after, [MIGRATIONS[name]])
    else:
        warehouse.rebuild(after, attrs.evolve(target, mode=MODES[name]))
    compare(name, emulator, database, since=since)


@pytest.mark.parametrize("name", ["add_column_with_default", "rename_columns"])
def test_statements_that_undo_a_migration_are_those_of_the_golden_file(
    warehouse: SnowflakeWarehouse, emulator: Emulator, database: str, name: str
) -> None:
    after = filled(warehouse, create(warehouse, target_for(schema=BEFORE)))
    warehouse.migrate(after, [MIGRATIONS[name]])
    since = len(emulator.seen(database))
    warehouse.setup(GROUP)
    compare(f"undo_{name}", emulator, database, since=since)


def test_no_golden_file_is_left_over() -> None:
    undone = {"undo_add_column_with_default", "undo_rename_columns"}
    assert {path.stem for path in GOLDEN.iterdir()} == {*MIGRATIONS, *MODES, *undone}


def compare(name: str, emulator: Emulator, database: str, *, since: int) -> None:
    texts = [each.text for each in emulator.seen(database)[since:] if _CHANGES.match(each.text)]
    text = "\n".join(f"{_FOLDER.sub('FOLDER', each)};\n" for each in texts)
    path = GOLDEN / f"{name}.sql"
    if os.environ.get("UPDATE_GOLDEN"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")
