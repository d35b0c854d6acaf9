"""Known rows: what is remembered of them, what can be named again, and what is not believed."""

from __future__ import annotations

import datetime as dt
import decimal
import uuid

import numpy as np
import pyarrow as pa
import pytest

from pipeline.domain.bookmarks import NO_BOOKMARKS, bookmarks, moved
from pipeline.domain.detection import KnownRows, refuse_vanished
from pipeline.domain.errors import SourceRejected
from pipeline.domain.fingerprintorder import is_last_of_equals, number_equals, places, sorted_order
from pipeline.domain.schema import Column, StreamSchema

SCHEMA = StreamSchema((Column("id", pa.int64()), Column("note", pa.string())), key=("id",))


def table(*rows: tuple[int | None, str | None]) -> pa.Table:
    return pa.table([[key for key, _ in rows], [note for _, note in rows]], schema=SCHEMA.arrow())


def known(*rows: tuple[int | None, str | None]) -> KnownRows:
    made = KnownRows(NO_BOOKMARKS)
    made.sift(table(*rows), SCHEMA)
    made.settle()
    return made


def test_what_is_remembered_is_a_line_per_row_with_its_key() -> None:
    made = known((1, "a"), (2, None))
    kept = made.bookmarks()
    assert [len(name) for name in kept["name"].to_pylist()] == [36, 36]
    assert sorted(value[32:] for value in kept["value"].to_pylist()) == ['{"id":1}', '{"id":2}']
    again = KnownRows(pa.concat_tables([kept, bookmarks({"cursor": "5", "rows": "none"})]))
    assert len(again) == 2
    found = again.sift(table((1, "a"), (2, "b"), (3, "c")), SCHEMA)
    assert (found.new.tolist(), found.changed.tolist()) == ([False, False, True], [False, True, False])
    assert found.bookmarks.num_rows == 2


def test_keys_of_all_types_are_named_again() -> None:
    schema = StreamSchema(
        (
            Column("text", pa.string()),
            Column("number", pa.decimal128(38, 2)),
            Column("at", pa.timestamp("us", "UTC")),
            Column("raw", pa.binary()),
            Column("on", pa.date32()),
            Column("note", pa.string()),
        ),
        key=("raw", "text", "number", "at", "on"),
    )
    rows = pa.table(
        {
            "text": ['with "quotes" and \\', "Ä\n", ""],
            "number": [decimal.Decimal("12345678901234567890.10"), decimal.Decimal("-0.01"), decimal.Decimal(0)],
            "at": [dt.datetime(2026, 1, 1, 12, 30, 0, 123456, dt.UTC)] * 3,
            "raw": [b"\0\xff", uuid.UUID(int=7).bytes, b""],
            "on": [dt.date(1, 1, 1), dt.date(9999, 12, 31), dt.date(1970, 1, 1)],
            "note": [None, "", "x"],
        },
        schema=schema.arrow(),
    )
    made = KnownRows(NO_BOOKMARKS)
    made.sift(rows, schema)
    made.settle()
    made.sift(rows.slice(0, 1), schema)
    keys, forgotten = made.vanish(schema)
    wanted = rows.select(schema.key).slice(1).to_pylist()
    assert sorted(map(repr, keys.to_pylist())) == sorted(map(repr, wanted))
    assert keys.schema.names == list(schema.key)
    assert (forgotten.num_rows, forgotten["value"].null_count, len(made)) == (2, 2, 1)


def test_rows_that_come_and_go_over_many_looks_are_known_as_they_are() -> None:
    made, kept, held = KnownRows(NO_BOOKMARKS), NO_BOOKMARKS, {}
    generator = np.random.default_rng(5)
    for look in range(6):
        ids = generator.choice(3_000, 1_000, replace=False)
        held = {int(number): f"{look} {number % 7 == look}" for number in ids}
        rows = list(held.items())
        for start in range(0, len(rows), 300):
            found = made.sift(table(*rows[start : start + 300]), SCHEMA)
            kept = moved(kept, found.bookmarks)
        assert not made.has_repeated
        kept = moved(kept, made.vanish(SCHEMA)[1])
        made.settle()
        assert len(made) == kept.num_rows == 1_000
    assert made.bookmarks().sort_by("name").equals(kept.sort_by("name"))
    found = KnownRows(kept).sift(table(*held.items()), SCHEMA)
    assert not found.new.any()
    assert not found.changed.any()


def test_a_listing_counts_alone_and_names_what_it_leaves_out() -> None:
    made = known((1, "a"), (2, "b"), (3, "c"))
    made.sift(table((1, "changed"), (4, "new")), SCHEMA)
    made.list_again()
    made.see(pa.table({"id": [2, 4, 5]}), SCHEMA)
    assert made.vanished_count == 2
    keys, _ = made.vanish(SCHEMA)
    made.settle()
    assert sorted(keys["id"].to_pylist()) == [1, 3]
    assert len(made) == 2


def test_a_row_that_is_forgotten_is_new_again() -> None:
    made = known((1, "a"), (2, "b"))
    assert made.forget(pa.table({"id": [1, 9]}), SCHEMA).num_rows == 1
    assert made.sift(table((1, "a"), (2, "b")), SCHEMA).new.tolist() == [True, False]


def test_rows_that_take_the_place_of_all_are_told_by_what_differs() -> None:
    made = known((1, "a"), (2, "b"))
    compared = made.compare(table((2, "b"), (3, "c"), (3, "d")), SCHEMA)
    told = made.replace(compared.hashes, compared.prints)
    assert (told.num_rows, told["value"].null_count, len(made)) == (2, 1, 2)
    assert not made.compare(table((2, "b"), (3, "d")), SCHEMA).changed.any()
    assert made.compare(table((1, "a"), (3, "c")), SCHEMA).new.tolist() == [True, False]


@pytest.mark.parametrize("case", ["other columns", "no key"])
def test_rows_that_cannot_be_named_are_not_left_out_silently(case: str) -> None:
    made = known((1, "a"))
    schema = StreamSchema(SCHEMA.columns, key=("note",))
    if case == "no key":
        compared = made.compare(table((1, "a")), SCHEMA)
        made.replace(compared.hashes, np.zeros_like(compared.prints))
        schema = SCHEMA
    with pytest.raises(SourceRejected) as refused:
        made.vanish(schema)
    assert refused.value.facts["case"] == "key"


@pytest.mark.parametrize(
    ("gone", "of", "share", "believed"),
    [
        (0, 0, 0.0, True),
        (0, 10, 0.0, True),
        (1, 10, 0.0, False),
        (5, 10, 0.5, True),
        (6, 10, 0.5, False),
        (9, 9, 1.0, True),
    ],
)
def test_more_than_a_share_gone_at_once_is_not_believed(gone: int, of: int, share: float, believed: bool) -> None:
    if believed:
        refuse_vanished(gone, of, max_share=share, where="source crm, stream people")
        return
    with pytest.raises(SourceRejected, match=f"{gone} of {of} rows are gone") as refused:
        refuse_vanished(gone, of, max_share=share, where="source crm, stream people")
    assert refused.value.facts == {"case": "vanished", "vanished_count": gone, "known_count": of}


def test_fingerprints_whose_first_halves_are_equal_are_told_apart() -> None:
    held = np.array([[1, 5, 5, 5, 9], [0, 1, 3, 7, 0]], dtype=np.uint64)
    asked = np.array([[5, 5, 5, 9, 9, 0, 5], [7, 1, 2, 0, 1, 0, 9]], dtype=np.uint64)
    at, found = places(held, asked)
    assert found.tolist() == [True, True, False, True, False, False, False]
    assert at.tolist() == [3, 1, 2, 4, 5, 0, 4]
    mixed = held[:, [3, 0, 4, 2, 1]]
    assert mixed[:, sorted_order(mixed)].tolist() == held.tolist()
    twice = np.concatenate([asked, asked[:, :2]], axis=1)
    assert is_last_of_equals(twice).tolist() == [False, False, True, True, True, True, True, True, True]


def test_equal_fingerprints_are_numbered_on_from_those_before() -> None:
    first = np.array([[1, 2, 1], [1, 2, 1]], dtype=np.uint64)
    numbered = number_equals(first)
    assert len({tuple(pair) for pair in numbered.T.tolist()}) == 3
    later = number_equals(first, [first])
    assert len({tuple(pair) for pair in np.concatenate([numbered, later], axis=1).T.tolist()}) == 6
    assert number_equals(first[:, :1]).tolist() == first[:, :1].tolist()
