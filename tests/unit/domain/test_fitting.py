"""Which types hold every value of which."""

from __future__ import annotations

from decimal import Decimal
from itertools import product
from typing import Any

import pyarrow as pa
import pytest

from pipeline.domain.fitting import common_type, holds, plain_type

#: Values at the edges of each type.
EDGES: dict[pa.DataType, list[Any]] = {
    pa.bool_(): [True, False],
    **{pa.int16(): [-(2**15), 2**15 - 1], pa.int32(): [-(2**31), 2**31 - 1], pa.int64(): [-(2**63), 2**63 - 1]},
    **{pa.uint16(): [0, 2**16 - 1], pa.uint32(): [0, 2**32 - 1], pa.uint64(): [0, 2**64 - 1]},
    pa.float32(): [-0.5, 3.4028234663852886e38],
    pa.float64(): [0.1, 1.7976931348623157e308],
    pa.decimal128(9, 0): [Decimal(-999999999)],
    pa.decimal128(10, 2): [Decimal("99999999.99")],
    pa.decimal128(12, 6): [Decimal("0.000001")],
    pa.decimal128(20, 10): [Decimal("0.0000000001")],
    pa.decimal128(38, 0): [Decimal(10**38 - 1)],
    pa.string(): ["", "x"],
    pa.binary(): [b"", b"\xff"],
    pa.date32(): [-(2**20), 2**20],
    pa.timestamp("s"): [-(2**40), 2**40],
    pa.timestamp("us"): [-(2**62) + 1, 2**62 + 1],
    pa.timestamp("ns"): [1],
    pa.timestamp("us", "UTC"): [2**62 + 1],
    pa.time32("ms"): [86_399_999],
    pa.time64("us"): [86_399_999_999],
    pa.list_(pa.int32()): [[2**31 - 1], []],
    pa.list_(pa.int64()): [[2**63 - 1], []],
}


@pytest.mark.parametrize(("holder", "held"), [pair for pair in product(EDGES, EDGES) if holds(*pair)], ids=str)
def test_what_a_type_is_said_to_hold_goes_there_and_back(holder: pa.DataType, held: pa.DataType) -> None:
    values = pa.array(EDGES[held], held)
    there = values.cast(holder)
    if pa.types.is_decimal(held) and pa.types.is_integer(holder):
        there = there.cast(pa.decimal128(38, 0))  # Arrow wants room for any integer
    assert there.cast(held).equals(values)


@pytest.mark.parametrize(
    ("narrow", "wide"),
    [
        (pa.int16(), pa.int32()),
        (pa.int32(), pa.int64()),
        (pa.uint32(), pa.int64()),
        (pa.int32(), pa.float64()),
        (pa.float32(), pa.float64()),
        (pa.int64(), pa.decimal128(38, 9)),
        (pa.decimal128(10, 2), pa.decimal128(12, 2)),
        (pa.decimal128(9, 0), pa.int32()),
        (pa.decimal128(18, 0), pa.int64()),
        (pa.int64(), pa.string()),
        (pa.decimal128(10, 2), pa.string()),
        (pa.date32(), pa.timestamp("us")),
        (pa.timestamp("s"), pa.timestamp("us")),
        (pa.time32("ms"), pa.time64("us")),
        (pa.list_(pa.int32()), pa.list_(pa.int64())),
    ],
    ids=str,
)
def test_the_wider_type_holds_the_narrower_and_not_the_other_way(narrow: pa.DataType, wide: pa.DataType) -> None:
    assert holds(wide, narrow)
    assert not holds(narrow, wide)


@pytest.mark.parametrize(
    ("left", "right"),
    [
        (pa.int64(), pa.float64()),
        (pa.int32(), pa.float32()),
        (pa.int64(), pa.uint64()),
        (pa.decimal128(10, 2), pa.float64()),
        (pa.bool_(), pa.int64()),
        (pa.bool_(), pa.string()),
        (pa.float64(), pa.string()),
        (pa.decimal128(20, 10), pa.string()),
        (pa.timestamp("us"), pa.timestamp("us", "UTC")),
        (pa.timestamp("us"), pa.timestamp("ns")),
        (pa.date32(), pa.string()),
        (pa.binary(), pa.string()),
        (pa.list_(pa.int32()), pa.list_(pa.string())),
    ],
    ids=str,
)
def test_types_of_different_kinds_never_both_hold_each_other(left: pa.DataType, right: pa.DataType) -> None:
    assert not holds(left, right) or not holds(right, left)
    if pa.types.is_list(left):
        assert holds(right, left)  # integers as text
    elif not (pa.types.is_decimal(left) and pa.types.is_integer(right)):
        assert not holds(left, right)
        assert not holds(right, left)


@pytest.mark.parametrize(
    ("kind", "plain"),
    [
        (pa.string_view(), pa.string()),
        (pa.large_string(), pa.string()),
        (pa.binary_view(), pa.binary()),
        (pa.dictionary(pa.int32(), pa.large_string()), pa.string()),
        (pa.large_list(pa.string_view()), pa.list_(pa.string())),
        (pa.struct([("x", pa.large_binary())]), pa.struct([("x", pa.binary())])),
        (pa.int64(), pa.int64()),
    ],
    ids=str,
)
def test_ways_to_lay_out_a_value_make_no_difference(kind: pa.DataType, plain: pa.DataType) -> None:
    assert plain_type(kind) == plain
    assert holds(plain, kind)
    assert holds(kind, plain)


@pytest.mark.parametrize(
    ("left", "right", "common"),
    [
        (pa.int32(), pa.int64(), pa.int64()),
        (pa.int64(), pa.int32(), pa.int64()),
        (pa.int32(), pa.uint32(), pa.int64()),
        (pa.int32(), pa.float32(), pa.float64()),
        (pa.int64(), pa.float64(), None),
        (pa.decimal128(10, 2), pa.decimal128(12, 1), pa.decimal128(13, 2)),
        (pa.decimal128(38, 0), pa.decimal128(10, 2), None),
        (pa.int64(), pa.decimal128(10, 2), pa.decimal128(22, 2)),
        (pa.int64(), pa.string(), pa.string()),
        (pa.string(), pa.bool_(), None),
        (pa.string_view(), pa.large_string(), pa.string()),
    ],
    ids=str,
)
def test_the_common_type_holds_both(left: pa.DataType, right: pa.DataType, common: pa.DataType | None) -> None:
    assert common_type(left, right) == common
