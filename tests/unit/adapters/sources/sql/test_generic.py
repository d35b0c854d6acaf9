"""Databases that have no module of their own, by SQLAlchemy: here its own dialect for SQLite stands for them."""

from __future__ import annotations

import datetime as dt
import sqlite3
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pytest

from adapters.sources.polling.extractor import Kind
from adapters.sources.sql.extractor import SqlExtractor
from adapters.sources.sql.generic import AnyDatabase
from adapters.sources.sql.generic_types import NOT_OF_TYPE, values_of
from adapters.sources.sql.options import parse_options
from pipeline.domain.errors import ConfigError, SourceRejected
from pipeline.domain.schema import Column
from pipeline.domain.stream import StreamSpec


@pytest.fixture
def extractor(tmp_path: Path) -> SqlExtractor:
    path = tmp_path / "shop.db"
    connection = sqlite3.connect(path)
    connection.execute(
        "CREATE TABLE orders (id INTEGER PRIMARY KEY, amount NUMERIC(8,2), at DATETIME, day DATE, note TEXT, b BLOB)"
    )
    for number in range(1, 6):
        values = (number, number / 4, f"2026-01-0{number} 10:00:00.000000", f"2026-01-0{number}", "it's", b"\0")
        connection.execute("INSERT INTO orders VALUES (?, ?, ?, ?, ?, ?)", values)
    connection.commit()
    connection.close()
    return SqlExtractor("shop", AnyDatabase(parse_options("shop", {"url": f"sqlite:///{path}"})), poll_s=1.0)


def test_rows_come_in_the_types_of_the_table(extractor: SqlExtractor) -> None:
    spec = StreamSpec("orders", "orders", "shop")
    schema = extractor.schema(spec)
    extraction = extractor.extract(spec, schema, {})
    tables = [rows.table for rows in extraction.rows]
    extractor.close()

    assert extraction.kind is Kind.IMAGE
    assert schema.key == ("id",)
    assert [table.schema == schema.arrow() for table in tables] == [True, True]
    assert tables[0].slice(1, 1).to_pylist() == [
        {
            "id": 2,
            "amount": Decimal("0.50"),
            "at": dt.datetime(2026, 1, 2, 10),
            "day": dt.date(2026, 1, 2),
            "note": "it's",
            "b": b"\0",
        }
    ]


def test_a_look_begins_where_the_last_one_ended(extractor: SqlExtractor) -> None:
    spec = StreamSpec("orders", "orders", "shop", read={"cursor": "id", "overlap": 1})
    schema = extractor.schema(spec)
    first = extractor.extract(spec, schema, {})
    told = {name: value for rows in first.rows for name, value in rows.bookmarks.items() if value}
    again = extractor.extract(spec, schema, {**told, "since": "4", "cursor": "5"})
    assert [number for rows in again.rows for number in rows.table["id"].to_pylist()] == [4, 5]
    assert again.window is not None
    assert again.window.is_ordered
    extractor.close()


def test_what_cannot_be_read_safely_is_refused(extractor: SqlExtractor) -> None:
    with pytest.raises(ConfigError, match="view"):
        extractor.schema(StreamSpec("orders", "orders", "shop", read={"query": "SELECT 1"}))
    with pytest.raises(SourceRejected, match="cannot be followed"):
        extractor.schema(StreamSpec("orders", "orders", "shop", read={"cursor": "note"}))
    with pytest.raises(SourceRejected, match="no such table"):
        extractor.schema(StreamSpec("orders", "missing", "shop"))
    extractor.close()


@pytest.mark.parametrize(
    ("kind", "good", "bad"),
    [
        (pa.int64(), [1, Decimal(2), True], ["x", 1.5, 2**70]),
        (pa.decimal128(6, 2), [1, 1.25, "3.10", Decimal("4.00")], ["x", Decimal("1.234"), Decimal("99999.00")]),
        (pa.bool_(), [True, 0, 1, b"\x01"], [2, "yes"]),
        (pa.date32(), [dt.date(2026, 1, 1)], ["2026-13-01"]),
        (pa.binary(), [b"x", bytearray(b"y"), memoryview(b"z")], ["text"]),
    ],
)
def test_a_value_that_is_not_of_its_columns_type_is_told_and_the_others_stay(
    kind: pa.DataType, good: list[object], bad: list[object]
) -> None:
    values, lost = values_of(Column("c", kind), [*good, *bad, None])
    [(rows, texts, reason)] = lost
    assert values.null_count == len(bad) + 1
    assert rows.to_pylist() == list(range(len(good), len(good) + len(bad)))
    assert texts.to_pylist() == [str(value) for value in bad]
    assert reason == NOT_OF_TYPE
