"""The range that a MERGE is held to spans the keys of its states, whatever they are, and is bound."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import pyarrow as pa
import pytest

from adapters.warehouses.snowflake.keyrange import KeyRange, key_range
from pipeline.domain.schema import Column, StreamSchema

INSTANT = datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC)


def found(kind: pa.DataType, keys: list[Any]) -> KeyRange | None:
    schema = StreamSchema([Column("id", kind), Column("other", pa.string())], key=["id", "other"])
    return key_range(schema, pa.table({"id": pa.array(keys, kind), "other": ["a"] * len(keys)}))


@pytest.mark.parametrize(
    ("kind", "keys", "expected"),
    [
        (pa.int64(), [5, -(2**63), 2**63 - 1], KeyRange("id", "NUMBER(38,0)", -(2**63), 2**63 - 1)),
        (pa.int16(), [-7], KeyRange("id", "NUMBER(38,0)", -7, -7)),
        (pa.uint64(), [2**64 - 1, 0], KeyRange("id", "NUMBER(38,0)", 0, 2**64 - 1)),
        (pa.date32(), [date(2026, 1, 2), date(1, 1, 1)], KeyRange("id", "DATE", "0001-01-01", "2026-01-02")),
        (
            pa.timestamp("us"),
            [datetime(1969, 12, 31), datetime(2026, 1, 2)],
            KeyRange("id", "TIMESTAMP_NTZ(6)", "1969-12-31T00:00:00.000000", "2026-01-02T00:00:00.000000"),
        ),
        (
            pa.timestamp("us", "UTC"),
            [INSTANT],
            KeyRange("id", "TIMESTAMP_TZ(6)", *["2026-01-02T03:04:05.000006+00:00"] * 2),
        ),
    ],
)
def test_the_range_is_from_the_least_to_the_most_key(kind: pa.DataType, keys: list[Any], expected: KeyRange) -> None:
    assert found(kind, keys) == expected


@pytest.mark.parametrize(
    ("kind", "keys"),
    [(pa.string(), ["a"]), (pa.decimal128(9, 2), [1]), (pa.date32(), [0, 2**31 - 1]), (pa.int64(), [])],
)
def test_where_keys_have_no_certain_order_there_is_no_range(kind: pa.DataType, keys: list[Any]) -> None:
    assert found(kind, keys) is None


def test_the_values_are_bound() -> None:
    keys = found(pa.int64(), [4711, -4711])
    assert keys is not None
    assert (keys.within("t"), keys.values) == (
        't."ID" BETWEEN CAST(? AS NUMBER(38,0)) AND CAST(? AS NUMBER(38,0))',
        (-4711, 4711),
    )
