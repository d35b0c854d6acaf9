"""Keys and rows as canonical JSON: written the same way always, and read back equal."""

from __future__ import annotations

import datetime as dt
import json
import math
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.domain.canonical import decode_rows, is_whole, key_texts, renamed, row_texts
from pipeline.domain.change import OLD_KEY, UNCHANGED
from pipeline.domain.schema import Column, StreamSchema
from pipeline.domain.valuetext import literals, texts
from tests.support.changes import changes, insert, misfit, update

ORDERS = StreamSchema(
    (Column("id", pa.int64()), Column("note", pa.string()), Column("amount", pa.decimal128(12, 3))), ("id",)
)


@pytest.mark.parametrize(
    ("kind", "values", "expected"),
    [
        (pa.bool_(), [True, False, None], ["true", "false", None]),
        (pa.int64(), [-(2**63), 2**63 - 1, None], ["-9223372036854775808", "9223372036854775807", None]),
        (pa.float64(), [0.1, -0.0, 1.0, 5e-324, 1e300], ["0.1", "-0", "1", "5e-324", "1e+300"]),
        (pa.float64(), [math.nan, math.inf, -math.inf, None, 2.5], ["NaN", "Infinity", "-Infinity", None, "2.5"]),
        (pa.float32(), [0.1, 3.4e38], ["0.1", "3.4e+38"]),
        (
            pa.decimal128(38, 10),
            ["0.0000000010", "-12.50", "0", "100", None],
            ["0.000000001", "-12.5", "0", "100", None],
        ),
        (pa.decimal128(38, 0), ["100", "-7"], ["100", "-7"]),
        (pa.string(), ["", ' "é\\\x00'], ["", ' "é\\\x00']),
        (pa.string_view(), ["a", None], ["a", None]),
        (pa.binary(), [b"", b"\x00\xff", None], ["", "00ff", None]),
        (
            pa.timestamp("us"),
            [0, -1, 2**62],
            ["1970-01-01T00:00:00.000000", "1969-12-31T23:59:59.999999", "148108-07-06T14:00:27.387904"],
        ),
        (pa.timestamp("s", "Europe/Paris"), [0, None], ["1970-01-01T00:00:00.000000Z", None]),
        (pa.timestamp("ns"), [1], ["1970-01-01T00:00:00.000000001"]),
        (pa.date32(), [0, 10**7, -(10**6)], ["1970-01-01", "29349-01-26", "-768-02-04"]),
        (pa.time64("us"), [1, None], ["00:00:00.000001", None]),
        (pa.list_(pa.string()), [[], ["a", None, '"'], None], ["[]", '["a",null,"\\""]', None]),
        (pa.struct([("x", pa.int8()), ("y", pa.string())]), [{"x": 1, "y": "a"}, None], ['{"x":1,"y":"a"}', None]),
    ],
)
def test_every_type_has_one_text(kind: pa.DataType, values: list[Any], expected: list[str | None]) -> None:
    given_values = [Decimal(value) if value else None for value in values] if pa.types.is_decimal(kind) else values
    assert texts(pa.array(given_values, kind)).to_pylist() == expected


def test_a_slice_has_the_texts_of_its_own_values() -> None:
    for values in (pa.array([b"a", b"bc", None, b""]), pa.array([["a"], None, ["b", "c"], []])):
        assert texts(values.slice(1, 3)).to_pylist() == texts(values).to_pylist()[1:]


def test_decimals_of_different_scales_have_the_same_text() -> None:
    narrow, wide = pa.array([Decimal("1.50")], pa.decimal128(5, 2)), pa.array([Decimal("1.500")], pa.decimal128(9, 3))
    assert texts(narrow).to_pylist() == texts(wide).to_pylist() == ["1.5"]


@settings(deadline=None)  # a slow machine is no fault
@given(st.lists(st.none() | st.text()))
def test_text_becomes_a_json_string(values: list[str | None]) -> None:
    assert [json.loads(text) for text in literals(pa.array(values, pa.string())).to_pylist()] == values


@settings(deadline=None)  # a slow machine is no fault
@given(st.lists(st.floats()))
def test_floats_read_back_to_the_same_bits(values: list[float]) -> None:
    schema = StreamSchema((Column("x", pa.float64()),))
    rows = row_texts(changes(schema, [insert(x=value) for value in values]), schema).to_pylist()
    assert [repr(value) for value in decode_rows(schema, rows).table["x"].to_pylist()] == [repr(v) for v in values]


def test_a_row_tells_what_the_log_gave() -> None:
    table = changes(
        ORDERS,
        [
            insert(id=1, note="a", amount=Decimal("1.500")),
            update(id=2, unchanged=["note"]),
            update(id=3, note=None, amount=None, old={"id": 9}),
        ],
    )
    assert key_texts(table, ORDERS).to_pylist() == ['{"id":1}', '{"id":2}', '{"id":3}']
    assert row_texts(table, ORDERS).to_pylist() == [
        '{"id":1,"note":"a","amount":"1.5"}',
        '{"id":2,"amount":null}',
        '{"id":3,"note":null,"amount":null,"_cdc_old_key":{"id":9}}',
    ]


def test_misfits_are_written_as_the_source_wrote_them() -> None:
    table = changes(ORDERS, [insert(id=1), insert(id=2), insert(id=None)])
    odd = (misfit("amount", {1: "NaN", 0: '"'}), misfit("id", {2: "1e9"}))
    assert key_texts(table, ORDERS, misfits=odd).to_pylist()[2] == '{"id":"1e9"}'
    assert row_texts(table, ORDERS, misfits=odd).to_pylist() == [
        '{"id":1,"note":null,"amount":"\\""}',
        '{"id":2,"note":null,"amount":"NaN"}',
        '{"id":"1e9","note":null,"amount":null}',
    ]


def test_a_value_too_large_to_be_kept_leaves_its_size() -> None:
    table = changes(ORDERS, [insert(id=1, note="x" * 1000), insert(id=2, note="y")])
    large, small = row_texts(table, ORDERS, max_bytes=300).to_pylist()
    assert json.loads(large)["note"]["_cdc_omitted_bytes"] == 1002
    assert len(large) < 300
    assert [is_whole(large), is_whole(small)] == [False, True]
    with pytest.raises(ValueError):
        decode_rows(ORDERS, [large])


ALL_TYPES = StreamSchema(
    (
        Column("id", pa.int64()),
        Column("t", pa.string()),
        Column("d", pa.decimal128(12, 3)),
        Column("b", pa.binary()),
        Column("at", pa.timestamp("us", "UTC")),
        Column("day", pa.date32()),
        Column("clock", pa.time64("us")),
        Column("yes", pa.bool_()),
        Column("l", pa.list_(pa.int32())),
    ),
    ("id", "t"),
)
INT64 = st.integers(-(2**63), 2**63 - 1)
ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "id": INT64,
            "t": st.text(),
            "d": st.none() | st.integers(-(10**12) + 1, 10**12 - 1).map(lambda number: Decimal(number).scaleb(-3)),
            "b": st.none() | st.binary(),
            "at": st.none() | st.integers(-(2**62), 2**62),
            "day": st.none() | st.integers(-(10**6), 10**7),
            "clock": st.none() | st.times(),
            "yes": st.none() | st.booleans(),
            "l": st.none() | st.lists(st.none() | st.integers(-5, 5)),
            "unchanged": st.lists(st.sampled_from(["d", "b", "l"]), unique=True).map(sorted),
            "old": st.none() | st.fixed_dictionaries({"id": INT64, "t": st.text()}),
        }
    )
)


@settings(deadline=None)  # a slow machine is no fault
@given(ROWS)
def test_rows_read_back_equal(rows: list[dict[str, Any]]) -> None:
    order = {name: number for number, name in enumerate(ALL_TYPES.names)}
    for row in rows:
        row["unchanged"].sort(key=order.__getitem__)
        row.update(dict.fromkeys(row["unchanged"]))
    table = changes(ALL_TYPES, [update(**row) for row in rows])
    decoded = decode_rows(ALL_TYPES, row_texts(table, ALL_TYPES).to_pylist())
    assert decoded.misfits == ()
    assert decoded.table.equals(table.select([*ALL_TYPES.names, UNCHANGED, OLD_KEY]))


@pytest.mark.parametrize("text", ["NaN", "1e30", "1_0", "today", "infinity"])
def test_a_value_that_still_does_not_fit_is_a_misfit_again(text: str) -> None:
    decoded = decode_rows(ALL_TYPES, [json.dumps({"id": 1, "t": "a", "d": "1.5", "at": text, "day": text})])
    assert [(found.column, found.texts.to_pylist()) for found in decoded.misfits] == [("at", [text]), ("day", [text])]
    assert decoded.table["d"].to_pylist() == [Decimal("1.500")]
    assert decoded.table["at"].to_pylist() == [None]


def test_a_row_can_be_read_under_a_wider_schema() -> None:
    wider = StreamSchema((*ORDERS.columns, Column("at", pa.timestamp("us"))), ("id",))
    decoded = decode_rows(wider, ['{"id":1,"note":"a","amount":"1.5"}'])
    assert decoded.table.to_pylist() == [
        {"id": 1, "note": "a", "amount": Decimal("1.500"), "at": None, UNCHANGED: ["at"], OLD_KEY: None}
    ]


def test_dates_of_a_decoded_row_are_instants_in_utc() -> None:
    schema = StreamSchema((Column("at", pa.timestamp("us", "UTC")),))
    decoded = decode_rows(schema, ['{"at":"2026-01-31T12:00:00.000001Z"}'])
    assert decoded.table["at"].to_pylist() == [dt.datetime(2026, 1, 31, 12, 0, 0, 1, tzinfo=dt.UTC)]


def test_a_renamed_column_changes_names_and_no_value() -> None:
    text = '{"id":1.50,"a \\"b\\"":{"id":[1,"}"]},"ü":"{\\"id\\":1}","_cdc_old_key":{"id":10000000000000000000000}}'
    assert renamed(text, "id", 'the "id"') == (
        '{"the \\"id\\"":1.50,"a \\"b\\"":{"id":[1,"}"]},"ü":"{\\"id\\":1}",'
        '"_cdc_old_key":{"the \\"id\\"":10000000000000000000000}}'
    )
    assert renamed('{"id":1,"_cdc_old_key":null}', "x", "y") == '{"id":1,"_cdc_old_key":null}'
    assert renamed("{}", "x", "y") == "{}"
