"""Old rows show the default of an added column, by the table's definition where the type allows that."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from decimal import Decimal

import attrs
import pyarrow as pa
import pytest

from adapters.warehouses.snowflake.warehouse import SnowflakeWarehouse
from pipeline.domain.loading import AddColumn, ChangeType, DropColumn, Migration, RenameColumn
from pipeline.domain.schema import Column, StreamSchema
from pipeline.domain.stream import Mode
from tests.conformance.warehouse_ground import PEOPLE, create, load, target_for
from tests.support.emulator import Emulator
from tests.support.told import Log

CONSTANTS: list[tuple[pa.DataType, object, str]] = [
    (pa.bool_(), True, "BOOLEAN DEFAULT TRUE"),
    (pa.int64(), -7, "NUMBER(38,0) DEFAULT -7"),
    (pa.uint64(), 2**64 - 1, "NUMBER(38,0) DEFAULT 18446744073709551615"),
    (pa.decimal128(38, 2), Decimal("-" + "9" * 36 + ".50"), f"NUMBER(38,2) DEFAULT -{'9' * 36}.5"),
    (pa.string(), "", "VARCHAR DEFAULT ''"),
    (pa.string(), 'it\'s \\ "odd"\n? é', "VARCHAR DEFAULT 'it''s \\\\ \"odd\"\n? é'"),
]
FILLED: list[tuple[pa.DataType, object]] = [
    (pa.float64(), 0.1),
    (pa.binary(), b"\x00\xff"),
    (pa.date32(), date(2026, 2, 28)),
    (pa.time64("us"), time(1, 2, 3, 4)),
    (pa.timestamp("us", "UTC"), datetime(2026, 2, 28, 1, 2, 3, 4, UTC)),
    (pa.list_(pa.string()), ["a"]),
]


def migration(column: Column, mode: Mode = Mode.MIRROR) -> Migration:
    after = StreamSchema([*PEOPLE.columns, column], key=("id",))
    return Migration(target_for(mode, after, version=2), PEOPLE, (AddColumn(column),))


def alterations(emulator: Emulator, database: str, *, since: int) -> list[str]:
    texts = [each.text for each in emulator.seen(database)[since:]]
    return [text for text in texts if text.startswith(("ALTER", "UPDATE"))]


@pytest.mark.parametrize(("kind", "value", "definition"), CONSTANTS, ids=lambda value: str(value)[:12])
def test_a_constant_is_the_table_s_and_no_row_is_written(
    warehouse: SnowflakeWarehouse, emulator: Emulator, database: str, kind: pa.DataType, value: object, definition: str
) -> None:
    checkpoint = load(warehouse, create(warehouse, target_for()), [Log().insert(id=1, name="a")])
    since, added = len(emulator.seen(database)), migration(Column("x", kind, default=pa.scalar(value, kind)))
    warehouse.migrate(checkpoint, [added])
    assert alterations(emulator, database, since=since) == [
        f'ALTER TABLE "{schema}"."SHOP__PEOPLE" ADD COLUMN "X" {definition}' for schema in ("CHANGELOG", "STAGING")
    ]
    assert warehouse.current(added.target).to_pylist() == [{"id": 1, "name": "a", "x": value}]
    assert warehouse.changelog(added.target)["x"].to_pylist() == [value]


@pytest.mark.parametrize(("kind", "value"), FILLED, ids=lambda value: str(value)[:12])
def test_any_other_default_is_written_into_the_rows(
    warehouse: SnowflakeWarehouse, emulator: Emulator, database: str, kind: pa.DataType, value: object
) -> None:
    checkpoint = load(warehouse, create(warehouse, target_for()), [Log().insert(id=1, name="a")])
    since, added = len(emulator.seen(database)), migration(Column("x", kind, default=pa.scalar(value, kind)))
    warehouse.migrate(checkpoint, [added])
    texts = alterations(emulator, database, since=since)
    assert [text.split()[0] for text in texts] == ["ALTER", "UPDATE"] * 2
    assert not [text for text in texts if "DEFAULT" in text]
    assert warehouse.current(added.target)["x"].to_pylist() == [value]


def test_a_document_is_written_into_the_rows(warehouse: SnowflakeWarehouse) -> None:
    checkpoint = load(warehouse, create(warehouse, target_for()), [Log().insert(id=1, name="a")])
    added = migration(Column("x", pa.string(), json=True, default=pa.scalar('{"a":1}')))
    warehouse.migrate(checkpoint, [added])
    assert warehouse.current(added.target)["x"].to_pylist() == ['{"a":1}']


@pytest.mark.parametrize("mode", list(Mode))
def test_a_null_that_is_loaded_stays_one_whatever_becomes_of_the_column(
    warehouse: SnowflakeWarehouse, mode: Mode
) -> None:
    """The default stays with the column: nothing may be loaded that does not name it."""
    age = Column("age", pa.decimal128(9, 2), default=pa.scalar(Decimal(7), pa.decimal128(9, 2)))
    log, added = Log(), migration(age, mode)
    checkpoint = load(warehouse, create(warehouse, target_for(mode)), [log.insert(id=1, name="a")])
    checkpoint = warehouse.migrate(checkpoint, [added])
    checkpoint = load(warehouse, added.target, [log.insert(id=2, name="b", age=None)], after=checkpoint)
    wider = attrs.evolve(age, name="years", type=pa.decimal128(12, 2), default=None)
    renamed = attrs.evolve(age, name="years", default=None)
    schema = StreamSchema([*PEOPLE.columns, wider], key=("id",))
    changes = (RenameColumn("age", renamed), ChangeType(wider), DropColumn("years"))
    dropped = target_for(mode, schema, version=3)
    checkpoint = warehouse.migrate(checkpoint, [Migration(dropped, added.target.schema, changes)])
    checkpoint = load(warehouse, dropped, [log.insert(id=3, name="c", years=None)], after=checkpoint)
    copied = Log(lsn=500)
    load(
        warehouse,
        dropped,
        [copied.snapshot(id=number, name="d", years=Decimal(number) if number else None) for number in (0, 8)],
        after=checkpoint,
        is_copy=True,
    )
    assert warehouse.changelog(dropped).sort_by("_cdc_sequence").select(["id", "years"]).to_pylist() == [
        {"id": 1, "years": Decimal(7)},
        {"id": 2, "years": None},
        {"id": 3, "years": None},
        {"id": 0, "years": None},
        {"id": 8, "years": Decimal(8)},
    ]
    current = {row["id"]: row["years"] for row in warehouse.current(dropped).to_pylist()}
    assert {0: None, 8: Decimal(8)}.items() <= current.items()
