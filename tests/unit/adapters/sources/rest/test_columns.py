"""Columns that are declared or guessed, and places of cursors in an API's words."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest

from adapters.sources.rest.columns import check_words, guessed, recalled, remembered, schema_of, type_of
from adapters.sources.rest.places import Since
from pipeline.domain.errors import ConfigError
from pipeline.domain.schema import Column


@pytest.mark.parametrize(
    ("values", "word"),
    [
        ([1, None, 2], "int64"),
        ([1, 2.5], "double"),
        ([Decimal("0.10")], "double"),
        ([2**70, 1], "string"),
        ([True, False], "bool"),
        ([True, 1], "string"),
        (["2026-01-31", None], "date32"),
        (["2026-02-30"], "string"),
        (["2026-01-31T10:00:00Z", "2026-01-31T10:00:00.5+02:00"], "timestamp[us, UTC]"),
        (["2026-01-31T10:00:00"], "timestamp[us]"),
        (["2026-01-31T10:00:00", "2026-01-31T10:00:00Z"], "string"),
        (["2026-01-31T10:00:00.1234567Z"], "string"),
        (["2026-01-31", "soon"], "string"),
        ([""], "string"),
        ([1, "a"], "string"),
        ([{"a": 1}, [1]], "json"),
        ([{"a": 1}, "a"], "json"),
    ],
)
def test_a_type_is_guessed_that_holds_all_values_seen(values: list[Any], word: str) -> None:
    assert guessed([{"c": value} for value in values], {}) == {"c": word}


def test_a_member_without_any_value_is_no_column_yet_and_known_ones_stay_as_they_are() -> None:
    records: list[dict[str, Any]] = [{"id": 1, "note": None}, {"id": 2.5, "new": "x"}]
    assert guessed(records, {"id": "int64"}) == {"id": "int64", "new": "string"}


def test_guessed_columns_are_remembered_and_what_is_no_memory_is_none() -> None:
    words = {"id": "int64", "ü": "json"}
    assert recalled(remembered(words)) == words
    assert [recalled(text) for text in (None, "", "[1]", "{")] == [{}, {}, {}, {}]


def test_a_schema_has_names_that_warehouses_can_hold_side_by_side() -> None:
    schema = schema_of({"Id": "int64", "id": "text", "_cdc_op": "json", "left": "date"}, ("Id",), exclude=["left"])
    assert schema.columns == (
        Column("Id", pa.int64(), source_type="int64"),
        Column("id_2", pa.string(), source_name="id", source_type="text"),
        Column("cdc_op", pa.string(), source_name="_cdc_op", source_type="json", json=True),
    )
    assert schema.key == ("Id",)


@pytest.mark.parametrize("word", ["integer?", "decimal(99, 2)", "decimal(x)", ""])
def test_a_word_that_is_no_type_is_refused(word: str) -> None:
    with pytest.raises(ConfigError):
        check_words({"c": word}, "source crm")


def test_type_words_may_be_spelled_as_arrow_does() -> None:
    for kind in (pa.int64(), pa.timestamp("us", "UTC"), pa.timestamp("us"), pa.date32(), pa.decimal128(9, 2)):
        assert type_of(str(kind).replace("date32[day]", "date32")) == kind


INSTANT = '"2026-01-31T10:20:30.400000Z"'


@pytest.mark.parametrize(
    ("form", "kind", "literal", "text"),
    [
        ("iso", pa.timestamp("us", "UTC"), INSTANT, "2026-01-31T10:20:30.400000Z"),
        ("iso", pa.timestamp("us"), INSTANT, "2026-01-31T10:20:30.400000"),
        ("iso_seconds", pa.timestamp("us", "UTC"), INSTANT, "2026-01-31T10:20:30Z"),
        ("date", pa.timestamp("us", "UTC"), INSTANT, "2026-01-31"),
        ("unix", pa.timestamp("us", "UTC"), INSTANT, "1769854830"),
        ("unix_ms", pa.timestamp("us", "UTC"), INSTANT, "1769854830400"),
        ("%d.%m.%Y %H:%M", pa.timestamp("us", "UTC"), INSTANT, "31.01.2026 10:20"),
        ("plain", pa.int64(), "42", "42"),
        ("iso", pa.string(), '"a b"', "a b"),
        ("iso", pa.date32(), '"2026-01-31"', "2026-01-31"),
    ],
)
def test_a_place_is_sent_in_the_form_that_the_api_takes(form: str, kind: pa.DataType, literal: str, text: str) -> None:
    assert Since("at", "since", form).text(literal, kind) == text


def test_where_nothing_was_read_yet_the_initial_place_is_sent_or_none() -> None:
    assert Since("at", "since").text(None, pa.int64()) is None
    assert Since("at", "since", initial="2020-01-01").text(None, None) == "2020-01-01"


@pytest.mark.parametrize(
    ("kind", "overlap"),
    [
        (pa.timestamp("us", "UTC"), pa.scalar(90_000_000, pa.duration("us"))),
        (pa.int32(), pa.scalar(90, pa.int32())),
    ],
)
def test_an_overlap_is_in_the_units_of_the_cursor(kind: pa.DataType, overlap: pa.Scalar) -> None:
    assert Since("at", "since", overlap=90.0).reach(kind) == overlap


def test_a_text_cursor_takes_no_overlap() -> None:
    assert Since("at", "since").reach(pa.string()) is None
    with pytest.raises(ValueError):
        Since("at", "since", overlap=1.0).reach(pa.string())
