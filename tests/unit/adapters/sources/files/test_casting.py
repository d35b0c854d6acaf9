"""Texts and values of files as values of a column: exactly, or set apart with a reason."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import pyarrow as pa
import pytest

from adapters.sources.files.casting import NOT_JSON, UNFIT, cast
from adapters.sources.files.typewords import shape_of

UTC = dt.UTC


def read(word: str, values: pa.Array) -> tuple[list[object], list[tuple[list[int], list[str], str]]]:
    found, unfit = cast(shape_of(word).column("x", "x"), values)
    assert found.type == shape_of(word).type
    return found.to_pylist(), [(rows.tolist(), texts.to_pylist(), reason) for rows, texts, reason in unfit]


@pytest.mark.parametrize(
    ("word", "text", "value"),
    [
        ("text", " as it is ", " as it is "),
        ("int", " 7 ", 7),
        ("int", "-9223372036854775808", -(2**63)),
        ("int", "5.0", 5),
        ("int", "", None),
        ("float", "2.5e3", 2500.0),
        ("float", "7", 7.0),
        ("decimal(6, 2)", "1234.5", Decimal("1234.50")),
        ("decimal(6, 2)", "1.5000", Decimal("1.50")),
        (
            "decimal(38, 2)",
            "123456789012345678901234567890123456.78",
            Decimal("123456789012345678901234567890123456.78"),
        ),
        ("bool", "TRUE", True),
        ("bool", "0", False),
        ("date", "2026-01-31", dt.date(2026, 1, 31)),
        ("time", "12:30", dt.time(12, 30)),
        ("time", "23:59:59.5", dt.time(23, 59, 59, 500_000)),
        ("timestamp", "2026-01-31 12:00", dt.datetime(2026, 1, 31, 12)),
        ("timestamp", "2026-01-31T12:00:00.000001", dt.datetime(2026, 1, 31, 12, 0, 0, 1)),
        ("timestamptz", "2026-01-31T12:00:00+02:00", dt.datetime(2026, 1, 31, 10, tzinfo=UTC)),
        ("timestamptz", "2026-01-31T12:00:00Z", dt.datetime(2026, 1, 31, 12, tzinfo=UTC)),
        ("binary", "00ff", b"\x00\xff"),
        ("json", '{"a": 1}', '{"a": 1}'),
    ],
)
def test_texts_become_values(word: str, text: str, value: object) -> None:
    assert read(word, pa.array([text, None])) == ([value, None], [])


@pytest.mark.parametrize(
    ("word", "text"),
    [
        ("int", "0x1F"),
        ("int", "1.5"),
        ("int", "9223372036854775808"),
        ("int", "1_000"),
        ("float", "1_000.5"),
        ("float", "1,5"),
        ("decimal(6, 2)", "1.005"),
        ("decimal(6, 2)", "12345.00"),
        ("decimal(38, 2)", "1234567890123456789012345678901234567890"),
        ("bool", "yes"),
        ("date", "31.01.2026"),
        ("date", "2026-02-30"),
        ("time", "24:30"),
        ("timestamp", "2026-01-31T12:00:00Z"),
        ("timestamp", "2026-01-31T12:00:00.1234567"),
        ("timestamptz", "2026-01-31T12:00:00"),
        ("binary", "0g"),
        ("json", "{no"),
        ("json", "NaN"),
    ],
)
def test_a_text_that_does_not_fit_is_set_apart_and_the_others_are_read(word: str, text: str) -> None:
    good = {"int": "1", "float": "1", "bool": "1", "date": "2026-01-01", "time": "01:00", "binary": "00"}
    good |= {"timestamp": "2026-01-01 00:00:00", "timestamptz": "2026-01-01 00:00:00Z"}
    values, unfit = read(word, pa.array([good.get(word, "1"), text, None, text]))
    assert values[0] is not None
    assert values[1:] == [None, None, None]
    assert unfit == [([1, 3], [text, text], NOT_JSON if word == "json" else UNFIT)]


def test_values_of_other_types_are_taken_where_nothing_is_lost() -> None:
    assert read("int", pa.array([1, None], pa.int8())) == ([1, None], [])
    assert read("float", pa.array([1, 2**53 + 1], pa.int64())) == ([1.0, None], [([1], [str(2**53 + 1)], UNFIT)])
    assert read("int", pa.array([1.0, 2.5])) == ([1, None], [([1], ["2.5"], UNFIT)])
    assert read("text", pa.array([1, None])) == (["1", None], [])
    assert read("text", pa.array([Decimal("1.50")])) == (["1.5"], [])
    nanoseconds = pa.array([1_000, 1_001], pa.timestamp("ns"))
    values, unfit = read("timestamp", nanoseconds)
    assert values == [dt.datetime(1970, 1, 1, 0, 0, 0, 1), None]
    assert [(rows, reason) for rows, _, reason in unfit] == [([1], UNFIT)]


def test_nested_values_become_json() -> None:
    nested = pa.array([{"a": [1, 2]}, None])
    assert read("json", nested) == (['{"a":[1,2]}', None], [])


@pytest.mark.parametrize("odd", ["0x1F", "0X1F"])
def test_numbers_in_other_notations_are_found_in_any_part_of_a_column(odd: str) -> None:
    values = pa.array(["123456", None, "2", odd])
    assert read("int", values.slice(0, 3)) == ([123456, None, 2], [])
    assert read("int", values.slice(1)) == ([None, 2, None], [([2], [odd], UNFIT)])
