"""Values that a warehouse cannot take are found by their size, and numbers in documents by their digits."""

from __future__ import annotations

import pyarrow as pa
import pytest

from pipeline.domain.contract import Contract
from pipeline.domain.limits import ValueLimits, inexact_rows, oversize_rows
from pipeline.domain.schema import Column, StreamSchema
from pipeline.domain.validation import validate
from tests.support.changes import batch, insert, update

SMALL = ValueLimits(text_bytes=4, binary_bytes=2, document_digits=38)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (pa.array(["aaaa", None, "aaaaa", "éé", "ééé"]), [False, False, True, False, True]),
        (pa.array([b"aa", None, b"aaa"]), [False, False, True]),
        (pa.array([[1], None, [1, 2]]), [False, False, True]),
        (pa.array(["a" * 9], pa.string_view()), [True]),
        (pa.array([2**62], pa.int64()), None),
        (pa.array(["a"]), None),
    ],
)
def test_what_is_larger_than_the_limit_is_found(values: pa.Array, expected: list[bool] | None) -> None:
    found = oversize_rows(values, SMALL)
    assert (None if found is None else found.tolist()) == expected


def test_without_limits_nothing_is_too_large() -> None:
    assert oversize_rows(pa.array(["a" * 10_000]), ValueLimits()) is None
    assert inexact_rows(pa.array(["9" * 100]), ValueLimits()) is None


@pytest.mark.parametrize(
    "text",
    [
        None,
        "null",
        '{"a":' + "9" * 38 + "}",
        "[-" + "9" * 38 + ", 1.5]",
        '"' + "9" * 100 + '"',
        '{"' + "9" * 100 + '":1}',
        "1e5",
        "1.234567890123e-300",
    ],
)
def test_a_document_whose_numbers_fit_is_kept(text: str | None) -> None:
    assert inexact_rows(pa.array([text], pa.string()), SMALL) is None


@pytest.mark.parametrize("number", ["9" * 39, "0." + "1" * 38, "-1." + "2" * 38, "1.2345678901234567e5", "1e400"])
def test_a_document_with_a_number_of_too_many_digits_is_found(number: str) -> None:
    texts = pa.chunked_array([["{}"], [f'{{"a":[{number}]}}', None]], pa.string())
    found = inexact_rows(texts, SMALL)
    assert found is not None
    assert found.tolist() == [False, True, False]


def test_a_row_whose_document_would_change_is_quarantined_and_an_update_that_leaves_it_alone_is_not() -> None:
    schema = StreamSchema([Column("id", pa.int64()), Column("doc", pa.string(), json=True)], key=("id",))
    rows = [insert(id=1, doc="[" + "1" * 39 + "]"), insert(id=2, doc="[1]"), update(id=3, doc=None, unchanged=["doc"])]
    found = validate(batch(schema, rows), Contract(), limits=SMALL)
    assert found.quarantined["reasons"].to_pylist() == [["size(doc)", "digits(doc)"]]
    assert found.passed["id"].to_pylist() == [2, 3]
