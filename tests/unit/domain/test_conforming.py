"""Batches of any schema a stream had come out in the one its tables have."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import attrs
import pyarrow as pa
import pytest

from pipeline.domain.change import OLD_KEY, UNCHANGED, change_schema
from pipeline.domain.conforming import conform
from pipeline.domain.contract import OnSchemaChange
from pipeline.domain.evolution import evolve
from pipeline.domain.fitting import holds
from pipeline.domain.schema import Column, StreamSchema
from tests.support.change_tables import Written, changes_of, delete, insert, snapshot, truncate, update

ID = Column("id", pa.int32(), source_id=1)
A = Column("a", pa.int32(), source_id=2)
B = Column("b", pa.string(), source_id=3)


def schema(*columns: Column, key: tuple[str, ...] = ("id",)) -> StreamSchema:
    return StreamSchema(columns, key=key)


def union(*schemas: StreamSchema, policy: OnSchemaChange = OnSchemaChange.EVOLVE) -> StreamSchema:
    """What tables have after the stream had these schemas."""
    found = schemas[0]
    for after in schemas[1:]:
        found = evolve(found, after, policy=policy, widens=lambda narrow, wide: holds(wide, narrow)).schema
    return found


def conformed(incoming: StreamSchema, target: StreamSchema, *written: Written) -> list[dict[str, Any]]:
    """The rows with their data columns, ``unchanged`` and ``old_key`` where there are any."""
    table = changes_of(incoming, written, chunk_rows=2)
    result = conform(table, incoming, target)
    result.validate(full=True)
    assert result.schema == change_schema(target)
    metadata = ["_cdc_op", "_cdc_sequence", "_cdc_commit_at"]
    assert result.select(metadata).equals(table.select(metadata))
    rows = result.select([*target.names, UNCHANGED, OLD_KEY]).to_pylist()
    for row in rows:
        for name, short in ((UNCHANGED, "unchanged"), (OLD_KEY, "was")):
            value = row.pop(name)
            if value is not None:
                row[short] = value
    return rows


def test_a_batch_of_the_same_schema_is_handed_on_as_it_is() -> None:
    table = changes_of(schema(ID, A), [insert(id=1, a=2)])
    assert conform(table, schema(ID, A), schema(ID, attrs.evolve(A, nullable=False))) is table


def test_columns_come_in_the_order_of_the_target() -> None:
    assert conformed(schema(B, ID, A), schema(ID, A, B), insert(id=1, a=2, b="x")) == [{"id": 1, "a": 2, "b": "x"}]


def test_a_column_that_the_batch_lacks_shows_its_default_in_rows_that_exist() -> None:
    new = attrs.evolve(B, default=pa.scalar("d"))
    written = (snapshot(id=1), insert(id=2), update(id=3, was={"id": 2}), delete(id=3), truncate())
    assert conformed(schema(ID), union(schema(ID), schema(ID, new)), *written) == [
        {"id": 1, "b": "d"},
        {"id": 2, "b": "d"},
        {"id": 3, "b": "d", "was": {"id": 2}},
        {"id": 3, "b": None},
        {"id": None, "b": None},
    ]


def test_a_dropped_column_is_null_in_rows_without_it_and_filled_in_rows_from_before() -> None:
    target = union(schema(ID, attrs.evolve(A, default=pa.scalar(7, pa.int32()))), schema(ID))
    assert conformed(schema(ID), target, insert(id=1)) == [{"id": 1, "a": None}]
    assert conformed(schema(ID, A), target, insert(id=1, a=5)) == [{"id": 1, "a": 5}]


def test_a_renamed_column_is_found_under_either_name() -> None:
    renamed = attrs.evolve(A, name="c", source_name="c")
    target = union(schema(ID, A, B), schema(ID, renamed, B))
    written = [update(id=1, b="x", unchanged=["a"]), update(id=2, unchanged=["b", "a"]), update(id=3, a=1, b=None)]
    assert conformed(schema(ID, A, B), target, *written) == [
        {"id": 1, "c": None, "b": "x", "unchanged": ["c"]},
        {"id": 2, "c": None, "b": None, "unchanged": ["b", "c"]},
        {"id": 3, "c": 1, "b": None},
    ]
    assert conformed(schema(ID, renamed), target, insert(id=1, c=2)) == [{"id": 1, "c": 2, "b": None}]


def test_columns_that_swapped_names_never_mix_their_values() -> None:
    one, two = attrs.evolve(A, type=pa.string()), B
    swapped = (attrs.evolve(one, name="b", source_name="b"), attrs.evolve(two, name="a", source_name="a"))
    target = union(schema(ID, one, two), schema(ID, *swapped))
    old = conformed(schema(ID, one, two), target, insert(id=1, a="one", b="two"))
    new = conformed(schema(ID, *swapped), target, insert(id=1, b="one", a="two"))
    assert old == new == [{"id": 1, "b": "one", "a": "two"}]


def test_a_column_added_again_never_takes_values_of_the_dropped_one() -> None:
    again = attrs.evolve(A, source_id=9, default=pa.scalar(0, pa.int32()))
    target = union(schema(ID, A), schema(ID, again))
    assert conformed(schema(ID, A), target, insert(id=1, a=5)) == [{"id": 1, "a_dropped": 5, "a": 0}]
    assert conformed(schema(ID, again), target, insert(id=1, a=6)) == [{"id": 1, "a_dropped": None, "a": 6}]


def test_a_type_that_changed_too_far_goes_to_its_own_column() -> None:
    flag = attrs.evolve(A, type=pa.bool_())
    target = union(schema(ID, A), schema(ID, flag))
    assert conformed(schema(ID, A), target, insert(id=1, a=5)) == [{"id": 1, "a": 5, "a_2": None}]
    assert conformed(schema(ID, flag), target, update(id=1, unchanged=["a"])) == [
        {"id": 1, "a": None, "a_2": None, "unchanged": ["a_2"]}
    ]


def test_left_out_columns_are_gone_from_the_unchanged_ones_too() -> None:
    incoming = schema(ID, A, B)
    target = union(schema(ID, A), incoming, policy=OnSchemaChange.DISCARD)
    written = (
        update(id=1, a=1, unchanged=["b"]),
        update(id=2, unchanged=["a", "b"]),
        update(id=3, b="x", unchanged=["a"]),
        insert(id=4, a=4, b="y"),
    )
    assert conformed(incoming, target, *written) == [
        {"id": 1, "a": 1},
        {"id": 2, "a": None, "unchanged": ["a"]},
        {"id": 3, "a": None, "unchanged": ["a"]},
        {"id": 4, "a": 4},
    ]


@pytest.mark.parametrize(
    ("kind", "wide", "value", "shown"),
    [
        (pa.int32(), pa.int64(), -(2**31), -(2**31)),
        (pa.decimal128(4, 2), pa.decimal128(38, 9), Decimal("99.99"), Decimal("99.990000000")),
        (pa.int64(), pa.string(), -(2**63), "-9223372036854775808"),
        (pa.decimal128(10, 2), pa.string(), Decimal("-0.10"), "-0.10"),
        (pa.string_view(), pa.string(), "é ", "é "),
        (pa.large_string(), pa.string(), "", ""),
        (pa.binary_view(), pa.binary(), b"\0", b"\0"),
        (pa.list_(pa.int32()), pa.list_(pa.int64()), [1, None], [1, None]),
    ],
    ids=str,
)
def test_values_are_brought_to_the_wider_type_exactly(
    kind: pa.DataType, wide: pa.DataType, value: Any, shown: Any
) -> None:
    incoming, target = schema(ID, attrs.evolve(A, type=kind)), schema(ID, attrs.evolve(A, type=wide))
    assert conformed(incoming, target, insert(id=1, a=value), insert(id=2, a=None)) == [
        {"id": 1, "a": shown},
        {"id": 2, "a": None},
    ]


def test_views_and_dictionaries_under_a_plain_schema_become_plain() -> None:
    table = changes_of(schema(ID, B), [insert(id=1, b="x"), insert(id=2, b=None)])
    for kind in (pa.string_view(), pa.large_string(), pa.dictionary(pa.int32(), pa.string())):
        laid_out = table.set_column(1, "b", table["b"].cast(kind))
        assert conform(laid_out, schema(ID, B), schema(ID, B)).equals(table)


def test_old_keys_follow_their_columns() -> None:
    old = StreamSchema((ID, A, B), key=("a", "id"))
    new = StreamSchema(
        (attrs.evolve(ID, type=pa.int64()), attrs.evolve(A, name="c", source_name="c"), B), key=("id", "c")
    )
    target = union(old, new)
    assert target.key_type() == pa.struct([("c", pa.int32()), ("id", pa.int64())])
    written = [update(id=2, a=3, b="x", was={"a": 1, "id": 2}), insert(id=1, a=1, b="y")]
    assert conformed(old, target, *written) == [
        {"id": 2, "c": 3, "b": "x", "was": {"c": 1, "id": 2}},
        {"id": 1, "c": 1, "b": "y"},
    ]


def test_no_rows_conform_too() -> None:
    assert conformed(schema(ID, A), schema(attrs.evolve(ID, type=pa.int64()), B)) == []


def test_a_value_that_does_not_fit_is_refused_without_being_shown() -> None:
    table = changes_of(schema(ID, attrs.evolve(A, type=pa.int64())), [insert(id=1, a=123456789012)])
    with pytest.raises(ValueError, match="column a") as caught:
        conform(table, schema(ID, A), schema(ID, A))
    assert "123456789012" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__
