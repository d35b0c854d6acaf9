"""Which Snowflake type an Arrow type becomes, and which changes of type need no new column."""

from __future__ import annotations

import pyarrow as pa
import pytest

from adapters.warehouses.snowflake.types import alters_in_place, column_type, sql_type, widens
from pipeline.domain.errors import SchemaRefused
from pipeline.domain.schema import Column

TYPES = [
    (pa.bool_(), "BOOLEAN"),
    (pa.int16(), "NUMBER(38,0)"),
    (pa.int64(), "NUMBER(38,0)"),
    (pa.uint64(), "NUMBER(38,0)"),
    (pa.decimal128(12, 2), "NUMBER(12,2)"),
    (pa.decimal128(38, 9), "NUMBER(38,9)"),
    (pa.float32(), "FLOAT"),
    (pa.float64(), "FLOAT"),
    (pa.string(), "VARCHAR"),
    (pa.string_view(), "VARCHAR"),
    (pa.dictionary(pa.int32(), pa.string()), "VARCHAR"),
    (pa.binary(), "BINARY"),
    (pa.date32(), "DATE"),
    (pa.time64("us"), "TIME(6)"),
    (pa.timestamp("us"), "TIMESTAMP_NTZ(6)"),
    (pa.timestamp("ms"), "TIMESTAMP_NTZ(6)"),
    (pa.timestamp("us", "UTC"), "TIMESTAMP_TZ(6)"),
    (pa.list_(pa.int64()), "ARRAY"),
    (pa.struct([("a", pa.int8())]), "VARIANT"),
]


@pytest.mark.parametrize(("kind", "expected"), TYPES, ids=str)
def test_a_type_has_one_that_holds_its_values(kind: pa.DataType, expected: str) -> None:
    assert sql_type(kind) == expected


def test_a_string_column_marked_as_json_is_a_document() -> None:
    assert column_type(Column("doc", pa.string(), json=True)) == "VARIANT"


@pytest.mark.parametrize(
    "kind",
    [
        pa.decimal256(50, 3),
        pa.decimal128(5, -2),
        pa.null(),
        pa.float16(),
        pa.timestamp("ns"),
        pa.time64("ns"),
        pa.month_day_nano_interval(),
        pa.list_(pa.decimal256(39, 0)),
        pa.struct([("a", pa.null())]),
        pa.map_(pa.string(), pa.int8()),
    ],
    ids=str,
)
def test_a_type_that_has_none_is_refused(kind: pa.DataType) -> None:
    with pytest.raises(SchemaRefused) as caught:
        column_type(Column("value", kind))
    assert (caught.value.where, caught.value.hint) == (
        "column value",
        "Leave the column out (exclude), or cast it at the source.",
    )


WIDER = [
    (pa.int16(), pa.int64()),
    (pa.int32(), pa.int32()),
    (pa.uint8(), pa.int16()),
    (pa.int64(), pa.decimal128(38, 0)),
    (pa.int64(), pa.string()),
    (pa.int32(), pa.decimal128(12, 2)),
    (pa.int32(), pa.float64()),
    (pa.decimal128(8, 2), pa.decimal128(10, 4)),
    (pa.decimal128(8, 2), pa.string()),
    (pa.decimal128(18, 0), pa.int64()),
    (pa.date32(), pa.timestamp("us")),
    (pa.float32(), pa.float64()),
    (pa.decimal128(8, 2), pa.decimal128(10, 2)),
    (pa.string(), pa.large_string()),
    (pa.timestamp("ms"), pa.timestamp("us")),
    (pa.list_(pa.int32()), pa.list_(pa.int64())),
]
NOT_WIDER = [
    (pa.int64(), pa.int32()),
    (pa.int32(), pa.decimal128(10, 2)),
    (pa.int64(), pa.float64()),
    (pa.float64(), pa.float32()),
    (pa.decimal128(8, 2), pa.decimal128(9, 4)),
    (pa.decimal128(38, 0), pa.int64()),
    (pa.string(), pa.int64()),
    (pa.string(), pa.binary()),
    (pa.date32(), pa.timestamp("us", "UTC")),
    (pa.timestamp("us"), pa.timestamp("us", "UTC")),
    (pa.list_(pa.float32()), pa.list_(pa.float64())),
    (pa.bool_(), pa.string()),
]


@pytest.mark.parametrize(("before", "after"), WIDER, ids=str)
def test_a_type_that_holds_every_value_is_wider(before: pa.DataType, after: pa.DataType) -> None:
    assert widens(before, after)


@pytest.mark.parametrize(("before", "after"), NOT_WIDER, ids=str)
def test_a_type_that_might_change_a_value_is_not_wider(before: pa.DataType, after: pa.DataType) -> None:
    assert not widens(before, after)


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ("NUMBER(8,2)", "NUMBER(10,2)", True),
        ("NUMBER(8,2)", "NUMBER(10,4)", False),
        ("NUMBER(38,0)", "NUMBER(20,0)", False),
        ("NUMBER(38,0)", "VARCHAR", False),
        ("DATE", "TIMESTAMP_NTZ(6)", False),
    ],
)
def test_the_service_itself_only_raises_the_precision_of_a_number(before: str, after: str, expected: bool) -> None:
    assert alters_in_place(before, after) is expected
