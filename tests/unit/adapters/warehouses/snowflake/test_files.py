"""What is written to a file is what can be read back, and SQL reads each column as its type."""

from __future__ import annotations

import datetime as dt
import math
from decimal import Decimal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from adapters.warehouses.changerows import Stamp
from adapters.warehouses.snowflake.files import FileColumn, as_file, file_columns, reading, showing, shown
from adapters.warehouses.snowflake.staterows import state_file
from pipeline.domain.compaction import Grain, compact
from pipeline.domain.schema import Column, StreamSchema
from tests.support.change_tables import changes_of, insert, update

SCHEMA = StreamSchema([Column("id", pa.int64()), Column("a", pa.string()), Column("b", pa.string())], key=("id",))


@pytest.mark.parametrize(
    ("kind", "values", "written"),
    [
        (pa.timestamp("us", "UTC"), [dt.datetime(2026, 1, 1, tzinfo=dt.UTC), None], pa.timestamp("us")),
        (pa.timestamp("s"), [dt.datetime(1, 1, 1)], pa.timestamp("us")),
        (pa.date64(), [dt.date(2026, 1, 1)], pa.date32()),
        (pa.time32("ms"), [dt.time(1, 2, 3)], pa.time64("us")),
        (pa.uint64(), [2**64 - 1], pa.decimal128(20, 0)),
        (pa.string_view(), ["a", ""], pa.string()),
        (pa.list_(pa.int64()), [[1, None], None, []], pa.string()),
        (pa.float64(), [math.inf, -0.0], pa.float64()),
        (pa.decimal128(38, 9), [Decimal("1.5")], pa.decimal128(38, 9)),
    ],
    ids=str,
)
def test_values_travel_in_types_that_parquet_and_the_service_agree_on(
    kind: pa.DataType, values: list[object], written: pa.DataType
) -> None:
    made = as_file(pa.table({"x": pa.chunked_array([values], kind)}), [FileColumn("x", kind)])
    assert made.schema == pa.schema([pa.field("c0", written)])
    assert made["c0"].null_count == sum(value is None for value in values)


def test_lists_come_back_from_their_texts() -> None:
    kind = pa.list_(pa.float64())
    values = pa.chunked_array([[[1.5, None, math.inf], None, []]], kind)
    schema = pa.schema([pa.field("x", kind)])
    texts = as_file(pa.table({"x": values}), file_columns(schema))
    assert texts["c0"].to_pylist() == ['[1.5,null,"Infinity"]', None, "[]"]
    assert shown(texts, schema)["x"].to_pylist() == values.to_pylist()


def test_each_column_is_read_by_its_place_and_shown_by_its_name() -> None:
    columns = [
        FileColumn("id", pa.int64()),
        FileColumn("doc", pa.string(), json=True),
        FileColumn("tags", pa.list_(pa.string())),
        FileColumn("at", pa.timestamp("us", "UTC")),
    ]
    assert reading(columns) == (
        "$1:c0::NUMBER(38,0)",
        "PARSE_JSON($1:c1::VARCHAR, 'd')",
        "PARSE_JSON($1:c2::VARCHAR)::ARRAY",
        "$1:c3::TIMESTAMP_NTZ(6)::TIMESTAMP_TZ(6)",
    )
    assert showing(columns) == '"ID", TO_JSON("DOC") AS "DOC", TO_JSON("TAGS") AS "TAGS", "AT"'


def test_a_state_says_which_columns_come_from_which_base_row(tmp_path) -> None:  # type: ignore[no-untyped-def] # a path
    changes = changes_of(
        SCHEMA,
        [
            insert(id=1, a="x", b="y"),
            update(id=2, a="z", unchanged=["b"]),
            update(id=4, was={"id": 3}, unchanged=["a", "b"]),
        ],
    )
    state = Stamp(7, dt.datetime(2026, 1, 1, tzinfo=dt.UTC)).onto(compact(changes, SCHEMA, grain=Grain.KEY))
    file = state_file(SCHEMA, state)
    assert file.taken == ("a", "b")
    assert [column.name for column in file.columns[-3:]] == ["_cdc_taken_0", "_cdc_taken_1", "_cdc_base_0"]
    rows = [tuple(row.values()) for row in file.rows.select([0, 3, 8, 9, 10]).to_pylist()]
    assert rows == [
        (1, "insert", False, False, None),
        (2, "update", False, True, 2),
        (3, "delete", False, False, None),
        (4, "update", True, True, 3),
    ]
    pq.write_table(as_file(file.rows, file.columns), tmp_path / "state.parquet")
    assert pq.read_table(tmp_path / "state.parquet").column_names == [f"c{number}" for number in range(11)]


def test_a_state_of_whole_rows_needs_no_base() -> None:
    changes = changes_of(SCHEMA, [insert(id=1, a="x", b="y")])
    state = Stamp(7, dt.datetime(2026, 1, 1, tzinfo=dt.UTC)).onto(compact(changes, SCHEMA, grain=Grain.KEY))
    assert (state_file(SCHEMA, state).taken, len(state_file(SCHEMA, state).columns)) == ((), 8)
