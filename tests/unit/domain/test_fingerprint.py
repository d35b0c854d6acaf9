"""Fingerprints: the same for the same row however it is held, others for others, and stable between releases."""

from __future__ import annotations

import decimal
import math
from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pytest

from pipeline.domain.change import Misfit
from pipeline.domain.fingerprint import fingerprints, fingerprints_of_keys_and_rows, halves_of, hexadecimal


def texts(table: pa.Table) -> list[str]:
    return [str(text) for text in hexadecimal(fingerprints(table)).to_pylist()]


def column(values: list[object], kind: pa.DataType) -> list[str]:
    return texts(pa.table({"a": pa.array(values, kind)}))


def test_fingerprints_are_those_that_warehouses_hold() -> None:
    """They lie in bookmarks of pipelines that run: another value would load every row anew."""
    table = pa.table(
        {
            "id": pa.array([1, 2, None], pa.int64()),
            "note": pa.array(["", "a text of more than eight bytes", None]),
            "amount": pa.array([decimal.Decimal("1.50"), None, None], pa.decimal128(10, 2)),
            "at": pa.array([0, 1_767_225_600_000_000, None], pa.timestamp("us", "UTC")),
            "tags": pa.array([[], ["x", None], None], pa.list_(pa.string())),
            "large": pa.array(["b" * 513, "b" * 512, None]),
        }
    )
    assert texts(table) == PINNED


PINNED = ["ef9831421bcebf47decc2af4bdbab1ec", "49cf334159793019f0c16b4e690097b6", "e220a8397b1dcdaf8209b480faed1b10"]


@pytest.mark.parametrize(
    ("narrow", "wide", "values"),
    [
        (pa.int16(), pa.int64(), [1, -1, None]),
        (pa.uint8(), pa.uint64(), [0, 255, None]),
        (pa.float32(), pa.float64(), [0.5, -0.0, math.inf, None]),
        (pa.string(), pa.large_string(), ["", "ä", "a" * 600, None]),
        (pa.string(), pa.string_view(), ["", "ä", "a" * 600, None]),
        (pa.binary(), pa.binary_view(), [b"", b"\0\xff", None]),
        (pa.decimal128(5, 2), pa.decimal128(20, 2), [decimal.Decimal("-1.50"), None]),
        (pa.list_(pa.int32()), pa.large_list(pa.int64()), [[], [1, None], None]),
    ],
)
def test_a_wider_type_changes_nothing(narrow: pa.DataType, wide: pa.DataType, values: list[object]) -> None:
    assert column(values, narrow) == column(values, wide)


def test_nan_is_itself_whatever_its_bits_and_zeros_are_told_apart() -> None:
    quiet, other = np.array([0x7FF8000000000000, 0xFFF8000000000001], dtype=np.uint64).view(np.float64)
    first, second, zero, minus = column([quiet, other, 0.0, -0.0], pa.float64())
    assert first == second
    assert len({first, zero, minus}) == 3


def test_the_order_of_columns_and_an_empty_one_change_nothing() -> None:
    table = pa.table({"a": [1, 2], "b": ["x", None]})
    assert texts(table) == texts(table.select(["b", "a"]))
    assert texts(table) == texts(table.append_column("c", pa.nulls(2, pa.int64())))
    assert texts(table) != texts(table.rename_columns(["a", "c"]))


def test_values_do_not_change_places_unseen() -> None:
    rows = pa.table({"a": ["ab", "a", "", "b", None, "ab"], "b": ["", "b", "ab", "a", "ab", None]})
    assert len(set(texts(rows))) == 6


@pytest.mark.parametrize(
    "flip",
    [lambda text, at: text[:at] + ("x" if text[at] != "x" else "y") + text[at + 1 :], lambda text, at: text[:at]],
    ids=["changed", "cut"],
)
def test_every_byte_counts(flip: Callable[[str, int], str]) -> None:
    text = "the quick brown fox jumps over the lazy dog, again and again. " * 12
    variants = [text, *(flip(text, at) for at in range(len(text)))]
    assert len(set(column(variants, pa.string()))) == len(variants)  # type: ignore[arg-type] # texts are objects


def test_texts_that_defeat_polynomials_are_told_apart() -> None:
    """The words of Thue and Morse: equal under any polynomial modulo a power of two."""
    word = "a"
    for _ in range(11):
        word += word.translate(str.maketrans("ab", "ba"))
    left, right = column([word, word.translate(str.maketrans("ab", "ba"))], pa.string())
    assert left[:16] != right[:16]
    assert left[16:] != right[16:]


def test_a_misfit_counts_by_its_text() -> None:
    table = pa.table({"a": pa.array([None, None, None], pa.int64())})
    misfit = Misfit("a", pa.array([0, 1], pa.int64()), pa.array(["x", None], pa.string()), "no number")
    plain, odd = fingerprints(table), fingerprints(table, misfits=[misfit])
    assert odd[:, 2].tolist() == plain[:, 2].tolist()
    assert len({tuple(pair) for pair in odd.T.tolist()}) == 3


def test_keys_and_rows_are_fingerprinted_at_once() -> None:
    table = pa.table({"a": [1, 1], "b": ["x", "y"]})
    keys, rows = fingerprints_of_keys_and_rows(table, ("a",))
    assert keys.tolist() == fingerprints(table.select(["a"])).tolist()
    assert rows.tolist() == fingerprints(table).tolist()


def test_no_rows_and_no_columns_have_fingerprints_too() -> None:
    assert fingerprints(pa.table({"a": pa.array([], pa.string())})).shape == (2, 0)
    assert fingerprints(pa.table({"a": pa.nulls(2)}).select([])).shape == (2, 2)


def test_what_is_no_fingerprint_is_refused() -> None:
    with pytest.raises(ValueError, match="another length"):
        halves_of(pa.array(["0123"]))


def test_many_numbers_have_as_many_fingerprints_in_either_half() -> None:
    prints = fingerprints(pa.table({"a": np.arange(200_000)}))
    assert [len(np.unique(half)) for half in prints] == [200_000, 200_000]
