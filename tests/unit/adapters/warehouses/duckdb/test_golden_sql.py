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
from adapters.warehouses.duckdb import compare, modes, sql
from adapters.warehouses.duckdb.modes import history
from adapters.warehouses.duckdb.sql import Statement
from pipeline.domain.loading import Target, Truncation
from pipeline.domain.schema import Column, StreamSchema
from pipeline.domain.stream import Mode

GOLDEN = Path(__file__).parent / "golden"
SCHEMA = StreamSchema(
    [
        Column("id", pa.int64()),
        Column('odd "name"', pa.string()),
        Column("amount", pa.decimal128(12, 2)),
        Column("note", pa.string(), json=True),
    ],
    key=["id", 'odd "name"'],
)
KEYLESS = StreamSchema([Column("line", pa.string()), Column("size", pa.float64())])
TRUNCATION = Truncation((5 << 46) + (1 << 44) + 7, datetime(2026, 1, 2, tzinfo=UTC))
STAMP = Stamp(12, datetime(2026, 1, 3, tzinfo=UTC))
CHANGES, STATE = '"incoming_changes"', '"incoming_state"'


def target(mode: Mode = Mode.MIRROR, schema: StreamSchema = SCHEMA) -> Target:
    return Target("order_items", "shop__order_items", mode, schema, 3)


CASES: dict[str, Callable[[], Iterable[str | Statement]]] = {
    "create": lambda: (
        sql.create_staging(target()),
        sql.create_changelog(target()),
        sql.create_changelog(target(schema=KEYLESS)),
        sql.create_quarantine(target()),
        sql.create_view(target(Mode.APPEND)),
    ),
    "append_changes": lambda: (
        sql.append_changes(target(), CHANGES),
        sql.append_changes(target(schema=KEYLESS), CHANGES),
    ),
    "prepare": lambda: (
        sql.is_filled(target()),
        sql.resolve(target(), STATE, ["note"]),
        sql.newer_exists(target(), 4711),
        sql.keep_newer(target(), sql.RESOLVED),
    ),
    **{
        f"{mode.value}_{name}": (lambda mode=mode, of=of: of(target(mode)))
        for mode in (Mode.MIRROR, Mode.SOFT_DELETE, Mode.HISTORY)
        for name, of in {
            "truncate": lambda target: modes.truncate(target, TRUNCATION, STAMP),
            "upsert": lambda target: modes.upsert(target, STATE),
            "fill": lambda target: modes.fill(target, STATE),
        }.items()
    },
    "history_copy": lambda: (
        history.is_first(target(Mode.HISTORY), STATE),
        history.begin_held(target(Mode.HISTORY)),
        history.add_held(target(Mode.HISTORY), STATE),
        history.close_unheld(target(Mode.HISTORY), sequence=9, at=STAMP.at),
    ),
    "compare": lambda: (
        compare.collect_differences(target(), has_waiting=True),
        compare.count_compared(target(), has_waiting=True),
        compare.collect_differences(target(schema=KEYLESS), has_waiting=False),
        compare.count_compared(target(schema=KEYLESS), has_waiting=False),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_statements_are_those_of_the_golden_file(name: str) -> None:
    text = "\n".join(shown(statement) for statement in CASES[name]())
    path = GOLDEN / f"{name}.sql"
    if os.environ.get("UPDATE_GOLDEN"):
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")


def test_no_golden_file_is_left_over() -> None:
    assert sorted(path.stem for path in GOLDEN.iterdir()) == sorted(CASES)


def test_append_mode_writes_nothing_to_the_staging_table() -> None:
    append = target(Mode.APPEND)
    assert (
        *modes.truncate(append, TRUNCATION, STAMP),
        *modes.upsert(append, STATE),
        *modes.fill(append, STATE),
    ) == ()


def shown(statement: str | Statement) -> str:
    if isinstance(statement, str):
        return f"{statement};\n"
    return f"{statement.text};\n-- {statement.values}\n"
