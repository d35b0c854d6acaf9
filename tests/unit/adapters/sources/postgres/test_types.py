"""What each PostgreSQL type becomes, and that the written table says the same."""

from __future__ import annotations

import re
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pytest

from adapters.sources.postgres import types
from adapters.sources.postgres.relation import SourceColumn
from adapters.sources.postgres.types import TABLE, column_of, select_expression
from pipeline.domain.schema import Column

_LINE = re.compile(r"\| `(\w+)` \| `([^`]+)` \| (yes|no) \| (binary|text) \|")


def column(type_text: str, *, oid: int, typmod: int = -1, **more: object) -> SourceColumn:
    """A column of a type, as the catalog describes one that is no domain."""
    return SourceColumn("c", 4, oid, typmod, type_text, type_text, **{"base_oid": oid, **more})  # type: ignore[arg-type] # by name


def numeric(precision: int, scale: int) -> SourceColumn:
    """A numeric column declared so."""
    return column(f"numeric({precision},{scale})", oid=1700, typmod=(precision << 16 | scale & 0x7FF) + 4)


def test_the_written_table_says_what_the_code_does() -> None:
    text = Path(types.__file__).with_name("TYPES.md").read_text()
    written = {name: (arrow, json == "yes", read == "binary") for name, arrow, json, read in _LINE.findall(text)}

    assert written == {entry.name: (str(entry.type), entry.json, entry.native) for entry in TABLE.values()}


def test_a_column_carries_name_type_and_identity() -> None:
    source = column("integer", oid=23, not_null=True, default_text="7")

    assert column_of(source, name="C") == Column(
        name="C",
        type=pa.int32(),
        nullable=False,
        source_name="c",
        source_type="integer",
        source_id=4,
        default=pa.scalar(7, pa.int32()),
    )


@pytest.mark.parametrize(
    ("precision", "scale", "expected"),
    [
        (12, 2, pa.decimal128(12, 2)),
        (38, 38, pa.decimal128(38, 38)),
        (2, -3, pa.decimal128(5, 0)),
        (3, 5, pa.decimal128(5, 5)),
        (39, 2, pa.decimal128(38, 9)),
        (30, -9, pa.decimal128(38, 9)),
        (3, 39, pa.decimal128(38, 9)),
        (1000, -1000, pa.decimal128(38, 9)),
    ],
)
def test_numeric_is_as_declared_up_to_38_digits(precision: int, scale: int, expected: pa.DataType) -> None:
    assert column_of(numeric(precision, scale), name="c").type == expected


def test_numeric_without_a_declaration_is_one_fixed_decimal() -> None:
    assert column_of(column("numeric", oid=1700), name="c").type == pa.decimal128(38, 9)


def test_a_domain_is_what_its_base_type_is() -> None:
    source = column("price", oid=99999, base_oid=1700, base_typmod=(8 << 16 | 3) + 4, type_kind="d", default_text="1.5")

    made = column_of(source, name="c")

    assert (made.type, made.source_type, made.default) == (
        pa.decimal128(8, 3),
        "price",
        pa.scalar(Decimal("1.500"), pa.decimal128(8, 3)),
    )


def test_a_domain_over_an_array_names_its_elements() -> None:
    source = column("tags", oid=99999, base_oid=1007, element_oid=23, element_name="int4", default_text="{1,2}")

    made = column_of(source, name="c")

    assert (made.source_type, made.json, made.default) == ("tags (int4[])", True, pa.scalar("[1,2]"))


def test_a_default_that_does_not_fit_is_none() -> None:
    assert column_of(column("date", oid=1082, default_text="infinity"), name="c").default is None


@pytest.mark.parametrize("oid", [19, 22, 30, 600, 601, 603, 628])
def test_types_that_only_look_like_arrays_stay_text(oid: int) -> None:
    made = column_of(column("point", oid=oid, element_oid=701, element_name="float8"), name="c")

    assert (made.type, made.json) == (pa.string(), False)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        (column("integer", oid=23), ('"c"', True)),
        (column("price", oid=99999, base_oid=23), ('"c"', True)),
        (column("jsonb", oid=3802), ('("c")::text', False)),
        (column("integer[]", oid=1007, element_oid=23, element_name="int4"), ('("c")::text', False)),
        (column("xml", oid=142), ('CASE num_nulls("c") WHEN 0 THEN concat("c") END', False)),
        (column("inet", oid=869), ('CASE num_nulls("c") WHEN 0 THEN concat("c") END', False)),
        (column("public.citext", oid=16400), ('CASE num_nulls("c") WHEN 0 THEN concat("c") END', False)),
    ],
)
def test_a_snapshot_reads_natively_or_by_the_output_function(source: SourceColumn, expected: tuple[str, bool]) -> None:
    assert select_expression(source, '"c"') == expected
