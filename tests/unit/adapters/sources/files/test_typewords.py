"""Words for types, and one type for what files show differently."""

import pyarrow as pa
import pytest

from adapters.sources.files.columns import followed
from adapters.sources.files.formats import shape_of_texts
from adapters.sources.files.typewords import JSON, TEXT, UNKNOWN, Shape, shape_of, shape_of_arrow, unified

INT, FLOAT, DATE = shape_of("int"), shape_of("float"), shape_of("date")


@pytest.mark.parametrize("word", ["number", "decimal", "decimal(0, 0)", "decimal(39, 2)", "decimal(4, 5)", ""])
def test_a_word_that_means_nothing_is_refused(word: str) -> None:
    with pytest.raises(ValueError, match=r"^"):
        shape_of(word)


@pytest.mark.parametrize("word", ["text", "int", "float", "bool", "date", "time", "timestamp", "timestamptz", "json"])
def test_a_shape_names_its_word(word: str) -> None:
    assert shape_of(word).word == word
    assert shape_of(word).has_word


@pytest.mark.parametrize(
    ("left", "right", "both"),
    [
        (INT, INT, INT),
        (INT, UNKNOWN, INT),
        (UNKNOWN, DATE, DATE),
        (INT, FLOAT, FLOAT),
        (INT, TEXT, TEXT),
        (FLOAT, TEXT, TEXT),
        (INT, DATE, TEXT),
        (shape_of("bool"), INT, TEXT),
        (DATE, shape_of("timestamp"), shape_of("timestamp")),
        (shape_of("timestamp"), shape_of("timestamptz"), TEXT),
        (shape_of("decimal(6, 2)"), shape_of("decimal(8, 4)"), shape_of("decimal(8, 4)")),
        (JSON, INT, TEXT),
        (Shape(pa.int16()), INT, INT),
    ],
)
def test_a_column_is_as_wide_as_all_files_need(left: Shape, right: Shape, both: Shape) -> None:
    assert unified(left, right) == both
    assert unified(right, left) == both


@pytest.mark.parametrize(
    ("texts", "word"),
    [
        (["1", "-2", None, ""], "int"),
        (["1", "2.5"], "float"),
        (["1e-7"], "float"),
        (["007"], "text"),
        (["99999999999999999999"], "float"),
        (["true", "False"], "bool"),
        (["2026-01-31"], "date"),
        (["2026-02-30"], "text"),
        (["2026-01-31 12:00"], "timestamp"),
        (["2026-01-31T12:00:00+02:00"], "timestamptz"),
        (["2026-01-31", "2026-01-31 12:00"], "text"),
        (["1", "x"], "text"),
        (["NaN"], "text"),
    ],
)
def test_texts_tell_their_type(texts: list[str | None], word: str) -> None:
    assert shape_of_texts(pa.array(texts, pa.string())).word == word


def test_texts_of_nothing_tell_none() -> None:
    assert shape_of_texts(pa.array([None, ""], pa.string())) == UNKNOWN


def test_arrow_types_become_those_of_the_warehouse() -> None:
    kinds = {
        pa.dictionary(pa.int32(), pa.string()): TEXT,
        pa.large_string(): TEXT,
        pa.timestamp("ns"): shape_of("timestamp"),
        pa.timestamp("ms", "Europe/Vienna"): shape_of("timestamptz"),
        pa.list_(pa.int64()): JSON,
        pa.struct([("a", pa.int64())]): JSON,
        pa.decimal128(38, -2): TEXT,
        pa.decimal256(50, 2): TEXT,
        pa.date64(): DATE,
        pa.binary(16): shape_of("binary"),
        pa.duration("s"): TEXT,
    }
    assert {kind: shape_of_arrow(kind) for kind in kinds} == kinds


def test_a_known_column_only_widens_where_its_values_stay_what_they_are() -> None:
    known = {"a": INT, "b": INT, "c": DATE, "d": TEXT, "gone": INT}
    shown = {"a": TEXT, "b": FLOAT, "c": shape_of("timestamp"), "d": INT, "new": INT}
    assert followed(known, shown) == {
        "a": TEXT,
        "b": INT,
        "c": shape_of("timestamp"),
        "d": TEXT,
        "gone": INT,
        "new": INT,
    }
