"""JSON values as Arrow's: exact, or set apart with their text."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.sources.rest.columns import schema_of
from adapters.sources.rest.documents import json_text, parsed
from adapters.sources.rest.values import column_of, table_of

TOO_LARGE = 2**63


def read(word: str, text: str) -> tuple[list[Any], list[tuple[int, str]]]:
    """The values of a JSON array under a type word, as text, and its misfits."""
    [column] = schema_of({"c": word}, ()).columns
    document = parsed(text.encode(), is_exact=True)
    assert isinstance(document, list)
    array, misfit = column_of(document, column)
    assert array.type == column.type
    found = [] if misfit is None else list(zip(misfit.rows.to_pylist(), misfit.texts.to_pylist(), strict=True))
    return [None if value is None else str(value) for value in array.to_pylist()], found


@pytest.mark.parametrize(
    ("word", "text", "values", "misfits"),
    [
        ("int64", "[1, -5, null]", ["1", "-5", None], []),
        ("int64", '[1, 2.0, "3", 1e3]', ["1", "2", "3", "1000"], []),
        ("int64", f"[1, {TOO_LARGE}]", ["1", None], [(1, str(TOO_LARGE))]),
        ("int64", '[1.5, true, "x", [1]]', [None] * 4, [(0, "1.5"), (1, "true"), (2, "x"), (3, "[1]")]),
        ("int16", "[32767, 32768]", ["32767", None], [(1, "32768")]),
        ("double", "[1, 2.5, 0.1]", ["1.0", "2.5", "0.1"], []),
        ("double", f"[{2**53}, {2**53 + 1}]", [str(float(2**53)), None], [(1, str(2**53 + 1))]),
        ("double", "[0.10, 1e400, 2]", ["0.1", None, "2.0"], [(1, "1E+400")]),
        ("double", '["1.5", "1_0", true]', ["1.5", None, None], [(1, "1_0"), (2, "true")]),
        ("decimal(12, 2)", '[0.1, "0.10", 3, 10.50]', ["0.10", "0.10", "3.00", "10.50"], []),
        ("decimal(38, 20)", "[0.12345678901234567890]", ["0.12345678901234567890"], []),
        ("decimal(5, 2)", '[0.125, 12345, "x", NaN]', [None] * 4, [(0, "0.125"), (1, "12345"), (2, "x"), (3, "nan")]),
        ("bool", '[true, false, "true", 1]', ["True", "False", None, None], [(2, "true"), (3, "1")]),
        ("text", '["a", 1, true, 0.10, {"a": 1}]', ["a", "1", "true", "0.10", None], [(4, '{"a":1}')]),
        ("text", r'["\ud83d", "\ud83d\ude00"]', [None, "\U0001f600"], [(0, r"\ud83d")]),
        ("date", '["2026-01-31", "2026-02-30", 5]', ["2026-01-31", None, None], [(1, "2026-02-30"), (2, "5")]),
        ("time", '["12:30:00", "25:00:00"]', ["12:30:00", None], [(1, "25:00:00")]),
        (
            "timestamptz",
            '["2026-01-01T00:00:00Z", "2026-01-01T00:00:00.1234560000+02:00", "2026-01-01T00:00:00"]',
            ["2026-01-01 00:00:00+00:00", "2025-12-31 22:00:00.123456+00:00", None],
            [(2, "2026-01-01T00:00:00")],
        ),
        (
            "timestamp",
            '["2026-01-01 00:00:00", "2026-01-01T00:00:00.1234567", "2026-01-01T00:00:00Z"]',
            ["2026-01-01 00:00:00", None, None],
            [(1, "2026-01-01T00:00:00.1234567"), (2, "2026-01-01T00:00:00Z")],
        ),
        ("unix", '[0, 1.5, "1"]', ["1970-01-01 00:00:00+00:00", "1970-01-01 00:00:01.500000+00:00", None], [(2, "1")]),
        ("unix_ms", "[1500, 0.0001]", ["1970-01-01 00:00:01.500000+00:00", None], [(1, "0.0001")]),
        (
            "json",
            '[{"a": [1, 0.10, "ü"]}, "text", 123456789012345678901234567890, null, [NaN]]',
            ['{"a":[1,0.10,"ü"]}', '"text"', "123456789012345678901234567890", None, None],
            [(4, "[nan]")],
        ),
    ],
)
def test_a_value_is_held_exactly_or_set_apart(
    word: str, text: str, values: list[str | None], misfits: list[tuple[int, str]]
) -> None:
    assert read(word, text) == (values, misfits)


def test_a_member_that_is_missing_is_null() -> None:
    schema = schema_of({"id": "int64", "note": "text"}, ("id",))
    table, misfits = table_of([{"id": 1}, {"note": "x", "id": 2}], schema)
    assert (table.to_pylist(), misfits) == ([{"id": 1, "note": None}, {"id": 2, "note": "x"}], ())


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@given(st.lists(JSON_VALUES, max_size=5))
def test_a_json_column_says_the_same_as_the_api_did(values: list[Any]) -> None:
    [column] = schema_of({"c": "json"}, ()).columns
    array, misfit = column_of(values, column)
    assert misfit is None
    shown = [None if text is None else parsed(text.encode(), is_exact=False) for text in array.to_pylist()]
    assert shown == values


@given(
    st.lists(JSON_VALUES, max_size=6),
    st.sampled_from(["int32", "int64", "double", "decimal(9, 2)", "text", "bool", "date", "timestamptz", "unix"]),
)
def test_no_value_is_lost_whatever_the_type(values: list[Any], word: str) -> None:
    [column] = schema_of({"c": word}, ()).columns
    array, misfit = column_of(values, column)
    unfit = set() if misfit is None else set(misfit.rows.to_pylist())
    for number, (value, held) in enumerate(zip(values, array.to_pylist(), strict=True)):
        assert (held is None) == (value is None or number in unfit)


def test_numbers_in_nested_values_keep_their_digits() -> None:
    text = '{"a":[0.10,1E+400,12345678901234567890.5],"b":{"c":1e2}}'
    assert (
        json_text(parsed(text.encode(), is_exact=True)) == '{"a":[0.10,1E+400,12345678901234567890.5],"b":{"c":1E+2}}'
    )


def test_arrays_have_the_declared_type_also_when_all_is_null() -> None:
    [column] = schema_of({"c": "decimal(4, 1)"}, ()).columns
    array, misfit = column_of([None, None], column)
    assert (array.type, array.null_count, misfit) == (pa.decimal128(4, 1), 2, None)
