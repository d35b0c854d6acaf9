"""What a load, an idle checkpoint and a look at the state cost in statements (P12)."""

from __future__ import annotations

import pyarrow as pa
import pytest

from adapters.warehouses.snowflake.warehouse import SnowflakeWarehouse
from pipeline.domain.loading import AddColumn, Migration
from pipeline.domain.schema import Column, StreamSchema
from pipeline.domain.stream import Mode
from tests.conformance.warehouse_ground import FIRST, GROUP, PEOPLE, create, following, load, target_for
from tests.support.emulator import Emulator
from tests.support.told import Log

#: What is read or written as metadata alone, without a warehouse.
METADATA = frozenset({"SHOW", "COMMENT", "LIST"})


def words(emulator: Emulator, database: str, *, since: int) -> list[str]:
    return [seen.text.split(maxsplit=1)[0] for seen in emulator.seen(database)[since:]]


@pytest.mark.parametrize(
    ("mode", "statements"),
    [
        (Mode.MIRROR, ["BEGIN", "UPDATE", "COPY", "MERGE", "MERGE", "INSERT", "COMMIT"]),
        (Mode.SOFT_DELETE, ["BEGIN", "UPDATE", "COPY", "MERGE", "MERGE", "INSERT", "COMMIT"]),
        (Mode.HISTORY, ["BEGIN", "UPDATE", "COPY", "MERGE", "MERGE", "INSERT", "COMMIT"]),
        (Mode.APPEND, ["BEGIN", "UPDATE", "COPY", "MERGE", "INSERT", "COMMIT"]),
    ],
)
def test_a_batch_is_one_copy_and_one_apply_and_status_tells_how_many_statements_it_took(
    warehouse: SnowflakeWarehouse, emulator: Emulator, database: str, mode: Mode, statements: list[str]
) -> None:
    target = create(warehouse, target_for(mode))
    log = Log()
    before = len(emulator.seen(database))
    load(warehouse, target, [log.insert(id=1, name="a"), log.update(id=1, name="b"), log.insert(id=2, name="c")])
    sent = words(emulator, database, since=before)
    assert sent[sent.index("BEGIN") : sent.index("COMMIT") + 1] == statements  # the second MERGE records the state
    assert [audited["statement_count"] for audited in warehouse.audit(GROUP)] == [len(statements)]


@pytest.mark.parametrize("has_loaded", [True, False], ids=["after a load", "after a begin"])
def test_an_idle_checkpoint_does_not_read_the_row_that_was_written_just_now(
    warehouse: SnowflakeWarehouse, emulator: Emulator, database: str, has_loaded: bool
) -> None:
    checkpoint = FIRST
    if has_loaded:
        checkpoint = load(warehouse, create(warehouse, target_for()), [Log().insert(id=1, name="a")])
    before = len(emulator.seen(database))
    for _ in range(2):
        warehouse.idle(checkpoint, following(checkpoint))
        checkpoint = following(checkpoint)
    assert warehouse.checkpoint(GROUP) == checkpoint
    read = ["SHOW TABLES", 'SELECT MAX("LOAD"),']  # both are answered from metadata
    sent = [" ".join(seen.text.split()[:2]) for seen in emulator.seen(database)[before:]]
    assert sent == [*read, "COMMENT ON", *read, "COMMENT ON", *read]


def test_an_idle_checkpoint_and_reading_it_again_run_no_statement_that_needs_a_warehouse(
    warehouse: SnowflakeWarehouse, emulator: Emulator, database: str
) -> None:
    assert warehouse.checkpoint(GROUP) == FIRST
    before = len(emulator.seen(database))
    warehouse.idle(FIRST, following(FIRST))
    sent = emulator.seen(database)[before:]
    others = [seen.text for seen in sent if seen.text.split(maxsplit=1)[0] not in METADATA]
    assert [text for text in others if not text.startswith("SELECT")] == []
    # What is read has one text as long as the row stands: metadata or the result cache answers.
    assert set(others) <= {seen.text for seen in emulator.seen(database)[:before]}


def test_a_start_reads_and_decodes_the_recorded_states_once_even_where_it_undoes_a_migration(
    warehouse: SnowflakeWarehouse, emulator: Emulator, database: str
) -> None:
    checkpoint = load(warehouse, create(warehouse, target_for()), [Log().insert(id=1, name="a")])
    note = Column("note", pa.string())
    after = target_for(schema=StreamSchema([*PEOPLE.columns, note], key=("id",)), version=2)
    warehouse.migrate(checkpoint, [Migration(after, PEOPLE, (AddColumn(note),))])
    before = len(emulator.seen(database))
    warehouse.setup(GROUP)
    sent = [seen.text for seen in emulator.seen(database)[before:]]
    assert sum('"ARROW_SCHEMA"' in text for text in sent) == 1
    assert any("DROP COLUMN" in text for text in sent)
