"""Which DuckDB type an Arrow type becomes, asked of DuckDB itself, and what can be widened in place."""

from __future__ import annotations

import duckdb
import pyarrow as pa
import pytest

from adapters.warehouses.duckdb.types import column_type, sql_type, widens
from pipeline.domain.errors import SchemaRefused
from pipeline.domain.schema import Column

TYPES = [
    pa.bool_(),
    pa.int8(),
    pa.int16(),
    pa.int32(),
    pa.int64(),
    pa.uint8(),
    pa.uint16(),
    pa.uint32(),
    pa.uint64(),
    pa.float32(),
    pa.float64(),
    pa.decimal128(5, 2),
    pa.decimal128(38, 0),
    pa.string(),
    pa.large_string(),
    pa.string_view(),
    pa.binary(),
    pa.large_binary(),
    pa.binary_view(),
    pa.binary(16),
    pa.date32(),
    pa.date64(),
    pa.time32("s"),
    pa.time64("us"),
    pa.time64("ns"),
    pa.timestamp("s"),
    pa.timestamp("ms"),
    pa.timestamp("us"),
    pa.timestamp("ns"),
    pa.timestamp("us", "UTC"),
    pa.timestamp("ns", "UTC"),
    pa.month_day_nano_interval(),
    pa.list_(pa.int32()),
    pa.large_list(pa.decimal128(9, 1)),
    pa.struct([("a", pa.int8()), ('b "c"', pa.list_(pa.string()))]),
    pa.map_(pa.string(), pa.float64()),
    pa.dictionary(pa.int32(), pa.string()),
    pa.json_(pa.string()),
    pa.uuid(),
]


@pytest.mark.parametrize("kind", TYPES, ids=str)
def test_the_type_is_the_one_that_duckdb_reads_from_arrow(kind: pa.DataType) -> None:
    storage = kind.storage_type if isinstance(kind, pa.BaseExtensionType) else kind
    values = pa.array([None], storage)
    if storage is not kind:
        values = pa.ExtensionArray.from_storage(kind, values)
    with duckdb.connect() as connection:
        connection.register("given", pa.table({"value": values}))
        connection.execute(f"CREATE TABLE made (value {sql_type(kind)})")
        (read,) = connection.execute("SELECT typeof(value) FROM given").fetchall()
        made = connection.execute("SELECT data_type FROM duckdb_columns() WHERE table_name = 'made'").fetchall()
    assert made == [read]


def test_a_string_column_marked_as_json_is_json() -> None:
    assert column_type(Column("note", pa.string(), json=True)) == "JSON"


@pytest.mark.parametrize(
    "kind",
    [pa.decimal256(50, 3), pa.decimal128(5, -2), pa.null(), pa.float16(), pa.list_(pa.decimal256(39, 0))],
    ids=str,
)
def test_a_type_that_duckdb_cannot_hold_is_refused(kind: pa.DataType) -> None:
    with pytest.raises(SchemaRefused) as caught:
        column_type(Column("value", kind))
    assert caught.value.hint == "Leave the column out (exclude), or cast it at the source."


WIDER = [
    (pa.int16(), pa.int64()),
    (pa.uint8(), pa.int16()),
    (pa.int32(), pa.decimal128(12, 2)),
    (pa.int32(), pa.float64()),
    (pa.int64(), pa.string()),
    (pa.float32(), pa.float64()),
    (pa.decimal128(8, 2), pa.decimal128(10, 4)),
    (pa.decimal128(8, 2), pa.string()),
    (pa.string(), pa.large_string()),
    (pa.date32(), pa.timestamp("us")),
    (pa.timestamp("ms"), pa.timestamp("us")),
    (pa.time64("us"), pa.time64("ns")),
    (pa.bool_(), pa.string()),
    (pa.list_(pa.int32()), pa.list_(pa.int64())),
]
NOT_WIDER = [
    (pa.int64(), pa.int32()),
    (pa.int8(), pa.uint64()),
    (pa.int64(), pa.float64()),
    (pa.int32(), pa.decimal128(10, 2)),
    (pa.float64(), pa.float32()),
    (pa.float64(), pa.string()),
    (pa.decimal128(8, 2), pa.decimal128(9, 4)),
    (pa.string(), pa.int32()),
    (pa.string(), pa.binary()),
    (pa.date32(), pa.timestamp("us", "UTC")),
    (pa.timestamp("us"), pa.timestamp("ns")),
    (pa.timestamp("us"), pa.timestamp("us", "UTC")),
    (pa.list_(pa.int64()), pa.list_(pa.int32())),
]


@pytest.mark.parametrize(("before", "after"), WIDER, ids=str)
def test_a_type_that_holds_every_value_is_wider(before: pa.DataType, after: pa.DataType) -> None:
    assert widens(before, after)


@pytest.mark.parametrize(("before", "after"), NOT_WIDER, ids=str)
def test_a_type_that_might_change_a_value_is_not_wider(before: pa.DataType, after: pa.DataType) -> None:
    assert not widens(before, after)
