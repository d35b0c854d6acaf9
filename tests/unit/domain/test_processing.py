"""Masks make values unreadable wherever they stand; processors change values and nothing else."""

from __future__ import annotations

import hashlib
import math
from decimal import Decimal

import attrs
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.domain.change import OLD_KEY, OP, ChangeBatch, change_schema
from pipeline.domain.errors import ConfigError
from pipeline.domain.processing import ProcessorFailed, check_masks, process, processed_schema
from pipeline.domain.schema import Column, StreamSchema
from tests.support.changes import batch, delete, insert, misfit, truncate, update

SCHEMA = StreamSchema(
    (
        Column("id", pa.int64()),
        Column("email", pa.string()),
        Column("amount", pa.decimal128(9, 2), default=pa.scalar(Decimal("1.50"), pa.decimal128(9, 2))),
        Column("doc", pa.string(), json=True),
    ),
    ("id",),
)


def sha(text: str) -> str:
    """What a text is hashed to."""
    return hashlib.sha256(text.encode()).hexdigest()


def test_without_masks_and_processors_the_batch_is_the_same() -> None:
    piece = batch(SCHEMA, [insert(id=1)])
    assert process(piece, masks={}) is piece
    assert process(piece, masks={"gone": "hash"}) is piece
    assert processed_schema(SCHEMA, {}) is SCHEMA


def test_each_mask_hides_its_column() -> None:
    rows = [insert(id=1, email="a@example.com", amount=Decimal("2.50"), doc="{}"), delete(id=1), truncate()]
    result = process(batch(SCHEMA, rows), masks={"email": "redact", "amount": "hash", "doc": "null"}, salt="s")
    assert result.table.select(["id", "email", "amount", "doc"]).to_pylist() == [
        {"id": 1, "email": "***", "amount": sha("s2.5"), "doc": None},
        {"id": 1, "email": None, "amount": None, "doc": None},
        {"id": None, "email": None, "amount": None, "doc": None},
    ]
    assert result.table.schema == change_schema(result.schema)
    assert [(column.name, str(column.type), column.json) for column in result.schema.columns] == [
        ("id", "int64", False),
        ("email", "string", False),
        ("amount", "string", False),
        ("doc", "string", True),
    ]


def test_a_default_is_masked_too() -> None:
    hashed = processed_schema(SCHEMA, {"amount": "hash"}, salt="s").column("amount")
    assert hashed.default == pa.scalar(sha("s1.5"))
    assert processed_schema(SCHEMA, {"amount": "redact"}).column("amount").default == pa.scalar("***")
    assert processed_schema(SCHEMA, {"amount": "null"}).column("amount").default is None


def test_a_hashed_key_is_hashed_before_and_after_a_key_change() -> None:
    result = process(batch(SCHEMA, [update(id=2, old={"id": 1}), insert(id=1)]), masks={"id": "hash"})
    assert result.table["id"].to_pylist() == [sha("2"), sha("1")]
    assert result.table[OLD_KEY].to_pylist() == [{"id": sha("1")}, None]
    assert result.table.schema == change_schema(processed_schema(SCHEMA, {"id": "hash"}))


@pytest.mark.parametrize(("mask", "expected"), [("hash", sha("NaN")), ("redact", "***"), ("null", None)])
def test_texts_of_misfits_are_masked(mask: str, expected: str | None) -> None:
    piece = batch(SCHEMA, [insert(id=1)], misfits=(misfit("amount", {0: "NaN"}), misfit("email", {0: "x"})))
    result = process(piece, masks={"amount": mask})
    assert [found.texts.to_pylist() for found in result.misfits] == [[expected], ["x"]]


@settings(deadline=None)  # a slow machine is no fault
@given(st.lists(st.none() | st.text(max_size=3)))
def test_equal_values_and_only_those_have_equal_hashes(values: list[str | None]) -> None:
    piece = batch(SCHEMA, [insert(id=number, email=value) for number, value in enumerate(values)])
    result = process(piece, masks={"email": "hash"}).table["email"].to_pylist()
    assert result == [None if value is None else sha(value) for value in values]


def test_all_faults_of_masks_are_told_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        check_masks(SCHEMA, {"id": "redact", "email": "blur", "gone": "hash", "doc": "null"})
    assert caught.value.what == (
        "The masks cannot be used: the key column id has the mask redact, but keys can only be hashed; "
        "email has the mask 'blur', which is none of hash, redact, null; there is no column gone."
    )
    check_masks(SCHEMA, {"id": "hash", "email": "redact"})


def shout(piece: ChangeBatch) -> ChangeBatch:
    """Write e-mail addresses in capitals."""
    number = piece.table.column_names.index("email")
    changed = piece.table.set_column(number, piece.table.schema.field(number), pc.utf8_upper(piece.table["email"]))
    return attrs.evolve(piece, table=changed)


def test_processors_run_in_order_and_before_the_masks() -> None:
    piece = batch(SCHEMA, [insert(id=1, email="a")])
    assert process(piece, masks={}, processors=[shout]).table["email"].to_pylist() == ["A"]
    assert process(piece, masks={"email": "hash"}, processors=[shout]).table["email"].to_pylist() == [sha("A")]


def test_a_key_that_is_not_a_number_is_no_fault_of_the_processor() -> None:
    schema = StreamSchema((Column("id", pa.float64()), Column("email", pa.string())), ("id",))
    piece = batch(schema, [update(id=1.0, email="a", old={"id": math.nan})])
    copied = attrs.evolve(piece, table=piece.table.take([0]))
    assert process(piece, masks={}, processors=[lambda _: copied]) is copied


def other_operations(piece: ChangeBatch) -> ChangeBatch:
    """Turn every change into a delete."""
    number = piece.table.column_names.index(OP)
    deletes = pa.array([2] * piece.row_count, pa.int8())
    return attrs.evolve(piece, table=piece.table.set_column(number, piece.table.schema.field(number), deletes))


@pytest.mark.parametrize(
    ("processor", "fault"),
    [
        (lambda piece: attrs.evolve(piece, table=piece.table.slice(1)), "rows or their order"),
        (lambda piece: attrs.evolve(piece, table=piece.table.take([1, 0])), "rows or their order"),
        (lambda piece: attrs.evolve(piece, table=piece.table.drop_columns("email")), "columns"),
        (lambda piece: attrs.evolve(piece, stream="other"), "stream or schema"),
        (other_operations, "metadata"),
    ],
)
def test_a_processor_that_breaks_its_word_is_refused(processor: object, fault: str) -> None:
    with pytest.raises(ProcessorFailed) as caught:
        process(batch(SCHEMA, [insert(id=1), insert(id=2)]), masks={}, processors=[processor])  # type: ignore[list-item] # several shapes
    assert caught.value.what == f"A processor changed the {fault} of a batch."
