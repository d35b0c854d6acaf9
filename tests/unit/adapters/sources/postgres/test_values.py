"""Texts in PostgreSQL's output format become exactly the values they name, or misfits."""

from __future__ import annotations

from datetime import date, time
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.sources.postgres import odd_values
from adapters.sources.postgres.values import parse
from pipeline.domain.schema import Column

UTC = pa.timestamp("us", tz="UTC")
NO_ZONE = pa.timestamp("us")

#: Microseconds of 2024-03-10 02:30:00 UTC.
MOMENT = 1_710_037_800_000_000


def read(kind: pa.DataType, texts: list[str | None]) -> tuple[list[Any], list[tuple[list[int], list[str], str]]]:
    """Values (times as numbers) and misfits as plain lists."""
    values, misfits = parse(Column("c", kind), pa.array(texts, pa.string()))
    values.validate(full=True)
    assert values.type == kind
    if pa.types.is_timestamp(kind):
        values = values.cast(pa.int64())
    return values.to_pylist(), [(rows.to_pylist(), shown.to_pylist(), reason) for rows, shown, reason in misfits]


@pytest.mark.parametrize(
    ("kind", "texts", "expected"),
    [
        (pa.bool_(), ["t", "f", None], [True, False, None]),
        (pa.int16(), ["-32768", "32767", None], [-32768, 32767, None]),
        (pa.int32(), ["-2147483648", "0"], [-(1 << 31), 0]),
        (pa.int64(), ["-9223372036854775808", "9223372036854775807"], [-(1 << 63), (1 << 63) - 1]),
        (
            pa.decimal128(12, 2),
            ["1.50", "-0.01", "9999999999.99", "3", None],
            ["1.50", "-0.01", "9999999999.99", "3.00"],
        ),
        (pa.decimal128(38, 9), ["0.5000000000000", "-12"], ["0.500000000", "-12.000000000"]),
        (pa.decimal128(5, 0), ["99000", "-1"], ["99000", "-1"]),
        (pa.decimal128(5, 5), ["0.00999", "-0.00001"], ["0.00999", "-0.00001"]),
        (pa.date32(), ["2024-02-29", "0001-01-01", "9999-12-31"], [date(2024, 2, 29), date.min, date.max]),
        (pa.time64("us"), ["23:59:59.999999", "00:00:00", None], [time.max, time(0), None]),
        (NO_ZONE, ["2024-03-10 02:30:00", "2024-03-10 02:30:00.1", None], [MOMENT, MOMENT + 100_000, None]),
        (UTC, ["2024-03-10 02:30:00.123456+00"], [MOMENT + 123_456]),
        (UTC, ["2024-03-10 08:00:00+05:30", "2024-03-09 23:30:00-03"], [MOMENT, MOMENT]),
        (UTC, ["2024-03-10 02:49:32+00:19:32", "2024-03-10 02:10:28.5-00:19:32"], [MOMENT, MOMENT + 500_000]),
        (UTC, ["0001-01-01 00:00:00+00", "9999-12-31 23:59:59.999999+00"], [-62135596800000000, 253402300799999999]),
        (pa.binary(), ["\\x", "\\x00ff7f", None, "\\xdeadbeef"], [b"", b"\x00\xff\x7f", None, b"\xde\xad\xbe\xef"]),
        (pa.string(), ["", "\r\n", "\ufeff", None, "\\N", '"'], ["", "\r\n", "\ufeff", None, "\\N", '"']),
    ],
)
def test_usual_values_are_read_exactly(kind: pa.DataType, texts: list[str | None], expected: list[Any]) -> None:
    if pa.types.is_decimal(kind):
        expected = [Decimal(text) for text in expected] + [None] * (len(texts) - len(expected))

    assert read(kind, texts) == (expected, [])


@pytest.mark.parametrize(
    ("kind", "texts", "reason"),
    [
        (pa.decimal128(12, 2), ["NaN", "Infinity", "-Infinity"], odd_values.NOT_FINITE),
        (pa.decimal128(12, 2), ["12345678901", "1" * 131072], odd_values.TOO_MANY_DIGITS),
        (pa.decimal128(38, 9), ["0.3333333333", "0." + "1" * 1000], odd_values.TOO_MANY_DECIMALS),
        (pa.decimal128(5, 0), ["1.5"], odd_values.TOO_MANY_DECIMALS),
        (pa.decimal128(5, 5), ["1.00000"], odd_values.TOO_MANY_DIGITS),
        (pa.date32(), ["infinity", "-infinity"], odd_values.INFINITE),
        (pa.date32(), ["0044-03-15 BC", "10000-01-01", "5874897-12-31"], odd_values.OUT_OF_YEARS),
        (pa.time64("us"), ["24:00:00"], odd_values.END_OF_DAY),
        (NO_ZONE, ["infinity", "-infinity"], odd_values.INFINITE),
        (NO_ZONE, ["294276-12-31 23:59:59.999999", "4713-01-01 00:00:00 BC"], odd_values.OUT_OF_YEARS),
        (UTC, ["0001-01-01 00:00:00+01", "9999-12-31 23:00:00-01", "10000-01-01 00:00:00+00"], odd_values.OUT_OF_YEARS),
        (pa.bool_(), ["yes"], odd_values.UNREADABLE),
        (pa.int16(), ["32768", "x", ""], odd_values.UNREADABLE),
        (pa.int64(), ["9223372036854775808"], odd_values.UNREADABLE),
        (pa.float64(), ["", "1,5"], odd_values.UNREADABLE),
        (pa.date32(), ["2023-02-29", "10.03.2024"], odd_values.UNREADABLE),
        (pa.time64("us"), ["25:00:00", "1:2"], odd_values.UNREADABLE),
        (NO_ZONE, ["2023-02-29 00:00:00", "2024-03-10 02:30:00+00"], odd_values.UNREADABLE),
        (UTC, ["2024-03-10 02:30:00"], odd_values.UNREADABLE),
    ],
)
def test_what_a_type_cannot_hold_is_a_misfit_and_harms_no_other_row(
    kind: pa.DataType, texts: list[str], reason: str
) -> None:
    fine = {"b": "t", "i": "7", "d": "7", "f": "7"}
    good = {
        pa.date32(): "2024-01-01",
        pa.time64("us"): "01:02:03",
        NO_ZONE: "2024-01-01 00:00:00",
        UTC: "2024-01-01 00:00:00+00",
        pa.decimal128(5, 5): "0.1",
    }.get(kind, fine.get(str(kind)[0]))
    alone, _ = read(kind, [good])

    values, misfits = read(kind, [good, *texts, None, texts[0], good])

    bad = [*range(1, len(texts) + 1), len(texts) + 2]
    assert values == [*alone, *[None] * len(texts), None, None, *alone]
    assert misfits == [(bad, [*texts, texts[0]], reason)]


def test_misfits_of_one_column_are_told_apart_by_reason() -> None:
    assert read(pa.decimal128(4, 2), ["1.5", "NaN", "100", "0.125", "NaN"]) == (
        [Decimal("1.50"), None, None, None, None],
        [
            ([1, 4], ["NaN", "NaN"], odd_values.NOT_FINITE),
            ([2], ["100"], odd_values.TOO_MANY_DIGITS),
            ([3], ["0.125"], odd_values.TOO_MANY_DECIMALS),
        ],
    )


def test_one_bad_value_among_a_million_costs_exactly_one_row() -> None:
    texts = pa.concat_arrays([pa.array(["1.5"] * 500_000), pa.array(["NaN"]), pa.array(["2.5"] * 499_999)])

    values, [(rows, shown, reason)] = parse(Column("c", pa.decimal128(10, 2)), texts)

    assert (values.null_count, rows.to_pylist(), shown.to_pylist()) == (1, [500_000], ["NaN"])
    assert reason == odd_values.NOT_FINITE


@pytest.mark.parametrize("kind", [pa.float32(), pa.float64()])
def test_floats_keep_their_bits(kind: pa.DataType) -> None:
    texts = ["NaN", "Infinity", "-Infinity", "-0", "0", "0.1", "1e+20"]
    texts += ["1e-45", "3.4028235e+38"] if kind == pa.float32() else ["5e-324", "1.7976931348623157e+308"]
    bits = {
        pa.float32(): "7fc00000 7f800000 ff800000 80000000 00000000 3dcccccd 60ad78ec 00000001 7f7fffff",
        pa.float64(): (
            "7ff8000000000000 7ff0000000000000 fff0000000000000 8000000000000000 0000000000000000 3fb999999999999a "
            "4415af1d78b58c40 0000000000000001 7fefffffffffffff"
        ),
    }[kind]

    values, misfits = parse(Column("c", kind), pa.array(texts))

    number = pa.uint32() if kind == pa.float32() else pa.uint64()
    width = kind.bit_width // 4
    assert ([f"{value:0{width}x}" for value in values.view(number).to_pylist()], misfits) == (bits.split(), [])


def test_bytea_that_is_not_hex_is_a_misfit() -> None:
    assert read(pa.binary(), ["\\x00", "abc", None, "\\x0g", "\\x0"]) == (
        [b"\x00", None, None, None, None],
        [([1, 3, 4], ["abc", "\\x0g", "\\x0"], "bytea that is not in hex format")],
    )


@given(st.lists(st.none() | st.binary(max_size=20), max_size=20), st.integers(0, 5))
def test_bytea_is_read_from_any_part_of_an_array(rows: list[bytes | None], offset: int) -> None:
    texts = pa.array([None if row is None else f"\\x{row.hex()}" for row in rows], pa.string()).slice(offset)

    values, misfits = parse(Column("c", pa.binary()), texts)

    assert (values.to_pylist(), misfits) == (rows[offset:], [])


def test_text_that_is_not_utf8_is_a_misfit() -> None:
    raw = pa.array([b"ok", b"\xff\xfe", None, "é".encode()], pa.binary())

    values, [(rows, shown, reason)] = parse(Column("c", pa.string()), raw)

    assert (values.to_pylist(), rows.to_pylist(), shown.to_pylist(), reason) == (
        ["ok", None, None, "é"],
        [1],
        ["\\xff\\xfe"],
        "bytes that are not UTF-8",
    )


def test_numbers_that_are_not_even_utf8_are_misfits_too() -> None:
    values, [(rows, shown, reason)] = parse(Column("c", pa.int32()), pa.array([b"1", b"\xff", None], pa.binary()))

    assert (values.to_pylist(), rows.to_pylist(), shown.to_pylist(), reason) == (
        [1, None, None],
        [1],
        ["\\xff"],
        odd_values.UNREADABLE,
    )


def test_json_is_kept_character_by_character() -> None:
    texts = ['{"a":  1.0, "a": 2}', "null", '"\\u0000"', "123456789012345678901234567890", None]
    column = Column("c", pa.string(), source_type="json", json=True)

    values, misfits = parse(column, pa.array(texts))

    assert (values.to_pylist(), misfits) == (texts, [])


@pytest.mark.parametrize("layout", [pa.string_view(), pa.large_string(), pa.binary()])
def test_texts_may_come_in_other_layouts(layout: pa.DataType) -> None:
    values, misfits = parse(Column("c", pa.int32()), pa.array(["1", None, "-5"]).cast(layout))

    assert (values.to_pylist(), misfits) == ([1, None, -5], [])


@pytest.mark.parametrize(
    "kind", [pa.decimal128(12, 2), pa.decimal128(38, 9), pa.decimal128(38, 0), pa.decimal128(38, 38)]
)
@pytest.mark.parametrize("sign", ["", "-"])
def test_decimals_of_every_length_are_exact_or_misfits(kind: pa.DataType, sign: str) -> None:
    for whole in (1, 2, 10, 28, 29, 30, 37, 38, 39, 40, 77, 300):
        for decimals in (0, 1, 2, 9, 10, 28, 38, 39, 77):
            for zeros in (0, 1, 40):
                text = sign + "9" * whole + ("." if decimals + zeros else "") + "7" * decimals + "0" * zeros
                fits = whole <= kind.precision - kind.scale and decimals <= kind.scale

                values, misfits = parse(Column("c", kind), pa.array([text]))

                assert (values[0].as_py(), len(misfits)) == ((Decimal(text), 0) if fits else (None, 1)), text


@given(
    st.sampled_from([pa.decimal128(20, 4), pa.decimal128(38, 9), pa.decimal128(5, 5), pa.decimal128(38, 0)]),
    st.lists(st.none() | st.from_regex(r"-?(0|[1-9][0-9]{0,45})(\.[0-9]{1,45})?", fullmatch=True), max_size=8),
)
def test_a_decimal_is_exact_or_a_misfit(kind: pa.DataType, texts: list[str | None]) -> None:
    values, misfits = parse(Column("c", kind), pa.array(texts, pa.string()))

    lost = {
        row: text for rows, shown, _ in misfits for row, text in zip(rows.to_pylist(), shown.to_pylist(), strict=True)
    }
    expected = [None if text is None or not _fits(text, kind) else Decimal(text) for text in texts]
    assert values.to_pylist() == expected
    assert lost == {row: text for row, text in enumerate(texts) if text is not None and not _fits(text, kind)}


def _fits(text: str, kind: pa.DataType) -> bool:
    whole, _, decimals = text.removeprefix("-").partition(".")
    return len(whole.lstrip("0")) <= kind.precision - kind.scale and len(decimals.rstrip("0")) <= kind.scale


@given(st.lists(st.integers(-(10**25), 10**25), max_size=6))
def test_an_integer_is_exact_or_a_misfit(numbers: list[int]) -> None:
    values, misfits = parse(Column("c", pa.int64()), pa.array([str(number) for number in numbers], pa.string()))

    fitting = [number if -(1 << 63) <= number < 1 << 63 else None for number in numbers]
    assert (values.to_pylist(), sum(len(rows) for rows, _, _ in misfits)) == (fitting, fitting.count(None))
