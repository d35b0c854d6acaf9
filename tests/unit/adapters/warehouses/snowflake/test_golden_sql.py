"""Every statement over a stream's tables, compared whole with the file that shows it.

``UPDATE_GOLDEN=1`` writes the files anew; read the difference before committing it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pytest

from adapters.warehouses.changerows import Stamp
from adapters.warehouses.snowflake import (
    audit,
    bookmarks,
    checkpoints,
    compare,
    control,
    modes,
    quarantine,
    renames,
    sql,
)
from adapters.warehouses.snowflake.files import FORMAT_OPTIONS
from adapters.warehouses.snowflake.keyrange import KeyRange
from adapters.warehouses.snowflake.paging import Pages
from adapters.warehouses.snowflake.statement import Statement
from pipeline.domain.change import SEQUENCE
from pipeline.domain.checkpoint import Checkpoint, Phase, StreamState
from pipeline.domain.counts import StreamCounts
from pipeline.domain.loading import Target, Truncation
from pipeline.domain.position import Position
from pipeline.domain.schema import Column, StreamSchema
from pipeline.domain.stream import Mode
from pipeline.domain.tables import LOAD

GOLDEN = Path(__file__).parent / "golden_sql"
SCHEMA = StreamSchema(
    [
        Column("id", pa.int64()),
        Column('odd "name"', pa.string()),
        Column("amount", pa.decimal128(12, 2)),
        Column("note", pa.string(), json=True),
        Column("tags", pa.list_(pa.string())),
        Column("At", pa.timestamp("us", "UTC")),
    ],
    key=["id", 'odd "name"'],
)
KEYLESS = StreamSchema([Column("line", pa.string()), Column("size", pa.float64())])
TRUNCATION = Truncation((5 << 46) + (1 << 44) + 7, datetime(2026, 1, 2, tzinfo=UTC))
STAMP = Stamp(12, datetime(2026, 1, 3, tzinfo=UTC))
FIRST = Checkpoint("shop", Position({"lsn": 7}), load=11, epoch=1, at=datetime(2026, 1, 3, tzinfo=UTC))
NEXT = FIRST.next(Position({"lsn": 9}), at=datetime(2026, 1, 4, tzinfo=UTC))
KEYS = KeyRange("id", "NUMBER(38,0)", -3, 44)
FILE = "20260103-0a1b/7.parquet"


def target(mode: Mode = Mode.MIRROR, schema: StreamSchema = SCHEMA) -> Target:
    return Target("order_items", "shop__order_items", mode, schema, 3)


def table(mode: Mode) -> str:
    return sql.staging(target(mode))


def states(mode: Mode, *taken: str) -> str:
    return sql.state_of_file(target(mode), table(mode), FILE, taken=taken)


def state(stream: str) -> StreamState:
    return StreamState(stream, f"shop__{stream}", Mode.MIRROR, Phase.STREAMING, Position({"lsn": 7}), KEYLESS, 1)


CASES: dict[str, Callable[[], Iterable[str | Statement]]] = {
    "create": lambda: (
        sql.create_staging(target(), sql.staging(target())),
        sql.create_staging(target(), sql.work_table(target()), replace=True),
        sql.create_changelog(target()),
        sql.create_changelog(target(schema=KEYLESS), transient=True),
        sql.create_quarantine(target()),
        sql.create_view(target(Mode.APPEND)),
        f"CREATE FILE FORMAT IF NOT EXISTS PIPELINE.PARQUET_2 {FORMAT_OPTIONS}",
        *(control.create(name) for name in control.TABLES),
    ),
    "copy": lambda: (
        *sql.copy_files(sql.changelog(target()), sql.changelog_columns(SCHEMA), "20260103-0a1b", ["1.parquet"]),
        *sql.copy_files(sql.changelog(target()), sql.changelog_columns(KEYLESS), "20260103-0a1b", ["1.p", "2.p"]),
    ),
    "checkpoint": lambda: (
        checkpoints.create_checkpoint(FIRST),
        checkpoints.move_checkpoint(FIRST, NEXT),
        checkpoints.note_idle(FIRST, NEXT),
    ),
    "bookmarks": lambda: (
        *sql.copy_files(control.own("bookmarks"), bookmarks.LAYOUT, "20260103-0a1b", ["5.parquet"]),
        bookmarks.forget("shop", "order_items"),
        bookmarks.fold("shop", "order_items"),
        bookmarks.latest("shop", "it's \\ odd"),
    ),
    "control": lambda: (
        control.write_states("shop", [state("a")]),
        control.write_states("shop", [state("a"), state("b")]),
        control.set_mode("shop", "a", Mode.HISTORY),
        audit.write_audit(NEXT, 1.5, {"a": StreamCounts(1, 1), "b": StreamCounts()}, statement_count=8),
        audit.write_audit(NEXT, 1.5, {}, statement_count=4),
        control.note_copy("shop__a", 12, NEXT.at),
        control.write_transformed("shop", 12),
        control.intend("shop"),
    ),
    "quarantine": lambda: (
        *sql.copy_files(sql.quarantine(target()), quarantine.ROWS, "20260103-0a1b", ["3.parquet"]),
        quarantine.settle(target(), FILE, STAMP),
        quarantine.supersede(target(), STAMP),
    ),
    **{
        f"{mode.value}_{name}": (lambda mode=mode, of=of: of(mode))
        for mode in (Mode.MIRROR, Mode.SOFT_DELETE, Mode.HISTORY)
        for name, of in {
            "truncate": lambda mode: modes.truncate(target(mode), table(mode), TRUNCATION, STAMP),
            "upsert": lambda mode: modes.upsert(target(mode), table(mode), states(mode), KEYS),
            "upsert_unchanged": lambda mode: modes.upsert(
                target(mode), table(mode), states(mode, "note", "amount"), None
            ),
            "copy": lambda mode: (
                *modes.begin_copy(target(mode), table(mode)),
                *modes.fill(target(mode), table(mode), sql.state_of_copy(target(mode), 12)),
                *modes.end_copy(target(mode), table(mode), STAMP),
            ),
        }.items()
    },
    "renames": lambda: (
        *(naming.pages(1000).statement(None) for naming in renames.namings(target())),
        *(naming.pages(1000).statement((11, 7)) for naming in renames.namings(target())),
        *(naming.write(FILE, (11, 12)) for naming in renames.namings(target())),
        *(naming.write(FILE, (11, 12)) for naming in renames.namings(target(schema=KEYLESS))),
    ),
    "pages": lambda: [
        Pages('"_CDC_LOAD", "_CDC_SEQUENCE", "ID"', sql.changelog(target()), (LOAD, SEQUENCE), 1000).statement(after)
        for after in (None, (11, (5 << 46) + (1 << 44) + 7))
    ],
    "compare": lambda: (
        compare.find_differences(target(), '"PIPELINE"."WANTED"', waiting='"PIPELINE"."WAITING"'),
        compare.count_compared(target(), '"PIPELINE"."WANTED"', waiting='"PIPELINE"."WAITING"'),
        compare.find_differences(target(schema=KEYLESS), '"PIPELINE"."WANTED"', waiting=None),
        compare.count_compared(target(schema=KEYLESS), '"PIPELINE"."WANTED"', waiting=None),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_statements_are_those_of_the_golden_file(name: str) -> None:
    text = "\n".join(shown(statement) for statement in CASES[name]())
    path = GOLDEN / f"{name}.sql"
    if os.environ.get("UPDATE_GOLDEN"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")


def test_no_golden_file_is_left_over() -> None:
    assert sorted(path.stem for path in GOLDEN.iterdir()) == sorted(CASES)


def test_append_mode_writes_nothing_to_the_staging_table() -> None:
    append, name = target(Mode.APPEND), table(Mode.APPEND)
    assert (
        *modes.truncate(append, name, TRUNCATION, STAMP),
        *modes.upsert(append, name, states(Mode.APPEND), KEYS),
        *modes.begin_copy(append, name),
        *modes.fill(append, name, sql.state_of_copy(append, 12)),
        *modes.end_copy(append, name, STAMP),
    ) == ()


def test_a_copy_of_more_files_than_one_statement_takes_is_several() -> None:
    files = [f"{number}.parquet" for number in range(2001)]
    copies = sql.copy_files(sql.changelog(target()), sql.changelog_columns(SCHEMA), "folder", files)
    assert [statement.text.count(".parquet'") for statement in copies] == [1000, 1000, 1]


def shown(statement: str | Statement) -> str:
    if isinstance(statement, str) or not statement.values:
        return f"{statement if isinstance(statement, str) else statement.text};\n"
    return f"{statement.text};\n-- {_brief(statement.values)}\n"


def _brief(values: tuple[object, ...]) -> list[object]:
    """Long texts are the business of the tests of their codecs."""
    return [f"{value[:20]}..." if isinstance(value, str) and len(value) > 60 else value for value in values]
