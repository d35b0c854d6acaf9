"""Rules over whole columns find the rows that a look at each single row finds."""

from __future__ import annotations

import datetime as dt
import math
import re
from collections import Counter
from decimal import Decimal
from typing import Any

import attrs
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.domain.change import OLD_KEY, OP, SEQUENCE, UNCHANGED, Operation
from pipeline.domain.contract import Contract, OnMisfit, Rule, RuleKind, Severity
from pipeline.domain.errors import ConfigError, ContractBroken
from pipeline.domain.limits import ValueLimits
from pipeline.domain.schema import Column, StreamSchema
from pipeline.domain.validation import check_contract, validate
from tests.support.changes import Row, batch, change, delete, insert, misfit, truncate, update

CANARY = "canary-4711"
SCHEMA = StreamSchema(
    (
        Column("id", pa.int64()),
        Column("name", pa.string()),
        Column("price", pa.float64()),
        Column("amount", pa.decimal128(9, 2)),
        Column("data", pa.binary()),
        Column("day", pa.date32()),
        Column("at", pa.timestamp("us", "UTC")),
        Column("tags", pa.list_(pa.string())),
        Column("yes", pa.bool_()),
    ),
    ("id",),
)


def rule(kind: RuleKind, *columns: str, **options: Any) -> Rule:
    """A rule."""
    return Rule(kind, columns, **options)


def broken(one: Rule, column: str, values: list[Any]) -> list[int]:
    """The numbers of the values that break a rule."""
    rows = [insert(**{"id": number, column: value}) for number, value in enumerate(values)]
    quarantined = validate(batch(SCHEMA, rows, first_commit=0), Contract(rules=(one,))).quarantined
    assert all(reasons == [one.label] for reasons in quarantined["reasons"].to_pylist())
    return [int(sequence) >> 46 for sequence in quarantined["sequence"].to_pylist()]


@pytest.mark.parametrize(
    ("kind", "column", "options", "values", "expected"),
    [
        (RuleKind.NOT_NULL, "name", {}, ["a", None, ""], [1]),
        (RuleKind.ACCEPTED, "name", {"accepted": ("a", "b")}, ["a", "c", None, "B"], [1, 3]),
        (RuleKind.ACCEPTED, "amount", {"accepted": (1, "2.5")}, [Decimal(1), Decimal("2.50"), Decimal(2)], [2]),
        (RuleKind.ACCEPTED, "yes", {"accepted": (True,)}, [True, False, None], [1]),
        (RuleKind.RANGE, "price", {"minimum": 0}, [0.0, -0.0, -1e-300, math.nan, math.inf, None], [2, 3]),
        (RuleKind.RANGE, "price", {"maximum": "1.5"}, [1.5, 1.6, -math.inf, math.nan], [1, 3]),
        (RuleKind.RANGE, "id", {"minimum": 0.5, "maximum": 2.5}, [0, 1, 2, 3], [0, 3]),
        (RuleKind.RANGE, "id", {"minimum": -(10**30), "maximum": 10**30}, [0, 1], []),
        (RuleKind.RANGE, "amount", {"minimum": 0.005}, [Decimal(0), Decimal("0.01"), None], [0]),
        (RuleKind.RANGE, "name", {"minimum": "b"}, ["a", "b", "é"], [0]),
        (RuleKind.RANGE, "day", {"minimum": "2026-01-01"}, [dt.date(2025, 12, 31), dt.date(2026, 1, 1)], [0]),
        (
            RuleKind.RANGE,
            "at",
            {"maximum": "2026-01-01T01:00:00+01:00"},
            [dt.datetime(2026, 1, 1, tzinfo=dt.UTC), dt.datetime(2026, 1, 1, 0, 0, 1, tzinfo=dt.UTC)],
            [1],
        ),
        (RuleKind.LENGTH, "name", {"minimum": 1, "maximum": 2}, ["", "é", "éé", "éé\u0301", None], [0, 3]),
        (RuleKind.LENGTH, "data", {"maximum": 2}, [b"", b"abc", None], [1]),
        (RuleKind.LENGTH, "tags", {"minimum": 1}, [[], ["a"], None], [0]),
        (RuleKind.PATTERN, "name", {"pattern": "^a+$"}, ["a", "ab", "", None], [1, 2]),
        (RuleKind.TYPE, "name", {"type": "int64"}, ["a", None], [0, 1]),
        (RuleKind.TYPE, "amount", {"type": "decimal128(9,2)"}, [None], []),
        (RuleKind.UNIQUE, "name", {}, ["a", "b", "a", None, None, "a"], [2, 5]),
    ],
)
def test_a_rule_finds_the_rows_that_break_it(
    kind: RuleKind, column: str, options: dict[str, Any], values: list[Any], expected: list[int]
) -> None:
    if column == "id":
        rows = [insert(id=value) for value in values]
        found = validate(batch(SCHEMA, rows), Contract(rules=(rule(kind, "id", **options),))).quarantined
        assert [int(key[6:-1]) for key in found["key"].to_pylist()] == [values[number] for number in expected]
    else:
        assert broken(rule(kind, column, **options), column, values) == expected


def test_deletes_truncates_and_unchanged_columns_are_not_judged() -> None:
    rows = [delete(id=1), truncate(), update(id=2, unchanged=["name"]), update(id=3, name=None)]
    found = validate(batch(SCHEMA, rows), Contract(rules=(rule(RuleKind.NOT_NULL, "name"),)))
    assert found.quarantined["key"].to_pylist() == ['{"id":3}']
    assert found.passed.num_rows == 3


def test_a_row_has_all_its_reasons_in_the_order_of_the_rules_and_warnings_count_only() -> None:
    contract = Contract(
        rules=(
            rule(RuleKind.RANGE, "price", minimum=0),
            rule(RuleKind.NOT_NULL, "name", severity=Severity.WARN),
            rule(RuleKind.ACCEPTED, "yes", accepted=(True,), name="must be yes"),
        )
    )
    rows = [insert(id=1, price=-1.0, yes=False), insert(id=2, yes=False, name="a"), insert(id=3)]
    found = validate(batch(SCHEMA, rows), contract)
    assert found.quarantined["reasons"].to_pylist() == [["range(price)", "must be yes"], ["must be yes"]]
    assert found.warned == {"not_null(name)": 2}
    assert found.quarantined_reasons == {"range(price)": 1, "must be yes": 2}


def test_a_rule_that_says_stop_stops_without_telling_values() -> None:
    contract = Contract(rules=(rule(RuleKind.ACCEPTED, "name", accepted=("a",), severity=Severity.STOP),))
    with pytest.raises(ContractBroken) as caught:
        validate(batch(SCHEMA, [insert(id=1, name=CANARY), insert(id=2, name=CANARY)]), contract)
    assert str(caught.value) == (
        "stream orders: The contract is broken and says stop: accepted(name) by 2 rows. Nothing of the batch was "
        "loaded. Mend the rows at the source, or change the severity of the rule."
    )
    assert CANARY not in repr(caught.value.facts)


NAN = misfit("amount", {1: CANARY}, "NaN in a decimal")


def test_a_misfit_is_quarantined_as_the_source_wrote_it_and_other_rules_do_not_take_it_for_null() -> None:
    contract = Contract(rules=(rule(RuleKind.NOT_NULL, "amount"),))
    found = validate(batch(SCHEMA, [insert(id=1, amount=1), insert(id=2)], misfits=(NAN,)), contract)
    assert found.quarantined["reasons"].to_pylist() == [["misfit(amount): NaN in a decimal"]]
    assert f'"amount":"{CANARY}"' in found.quarantined["row"].to_pylist()[0]
    assert found.misfit_counts == {"amount": 1}


def test_by_contract_a_misfit_becomes_null_is_counted_and_judged_as_null() -> None:
    piece = batch(SCHEMA, [insert(id=1, amount=1), insert(id=2)], misfits=(NAN,))
    null = validate(piece, Contract(on_misfit=OnMisfit.NULL))
    assert (null.passed.equals(piece.table), null.misfit_counts) == (True, {"amount": 1})
    judged = validate(piece, Contract(rules=(rule(RuleKind.NOT_NULL, "amount"),), on_misfit=OnMisfit.NULL))
    assert judged.quarantined_reasons == {"not_null(amount)": 1}


def test_by_contract_a_misfit_stops() -> None:
    with pytest.raises(ContractBroken) as caught:
        validate(batch(SCHEMA, [insert(id=1), insert(id=2)], misfits=(NAN,)), Contract(on_misfit=OnMisfit.STOP))
    assert caught.value.facts["rules"] == {"misfit(amount): NaN in a decimal": 1}
    assert CANARY not in str(caught.value)


def test_a_misfit_of_a_delete_matters_only_in_its_key() -> None:
    odd = (misfit("amount", {0: "NaN"}), misfit("id", {1: "NaN"}))
    found = validate(batch(SCHEMA, [delete(id=1), delete(id=None)], misfits=odd), Contract())
    assert found.quarantined["key"].to_pylist() == ['{"id":"NaN"}']
    assert found.misfit_counts == {"amount": 1, "id": 1}


def test_a_value_above_the_limit_is_quarantined_and_the_rest_passes() -> None:
    rows = [
        insert(id=1, data=b"x" * 11, name="é" * 5),
        insert(id=2, name="é" * 6),
        insert(id=3, tags=["a" * 9]),
        delete(id=4, name="x" * 20, data=b"y"),
    ]
    found = validate(batch(SCHEMA, rows), Contract(), limits=ValueLimits(text_bytes=10, binary_bytes=10))
    assert found.quarantined["reasons"].to_pylist() == [["size(data)"], ["size(name)"], ["size(tags)"]]
    assert found.passed.select(["id", "name", "data"]).to_pylist() == [{"id": 4, "name": None, "data": b"y"}]


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([insert(id=2), insert(id=1), insert(id=2)], [3]),
        ([insert(id=2), delete(id=2), insert(id=2)], []),
        ([insert(id=2), truncate(), insert(id=2)], []),
        ([insert(id=2), update(id=3, old={"id": 2}), insert(id=2)], []),
        ([insert(id=2), update(id=2), insert(id=2)], [3]),
        ([update(id=2), update(id=2)], []),
        ([change(Operation.SNAPSHOT, id=2), change(Operation.SNAPSHOT, id=2)], [2]),
    ],
)
def test_a_key_is_inserted_once_before_it_goes(rows: list[Row], expected: list[int]) -> None:
    found = validate(batch(SCHEMA, rows), Contract(rules=(rule(RuleKind.UNIQUE, "id"),)))
    assert [int(sequence) >> 46 for sequence in found.quarantined["sequence"].to_pylist()] == expected


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([insert(id=1, name="a"), update(id=1, name="a")], []),
        ([insert(id=1, name="a"), insert(id=2, name="a")], [2]),
        ([insert(id=1, name="a"), insert(id=2, name="b"), update(id=1, name="b"), update(id=2, name="a")], []),
        ([insert(id=1, name="a"), delete(id=1), insert(id=2, name="a")], []),
        ([insert(id=1, name="a"), truncate(), insert(id=2, name="a")], []),
        ([insert(id=1, name="a"), update(id=3, name="c", old={"id": 1}), insert(id=2, name="a")], []),
        ([insert(id=1, name="a"), update(id=1, unchanged=["name"]), insert(id=2, name="a")], [3]),
    ],
)
def test_other_columns_are_unique_among_the_keys_at_the_end_of_the_batch(rows: list[Row], expected: list[int]) -> None:
    found = validate(batch(SCHEMA, rows), Contract(rules=(rule(RuleKind.UNIQUE, "name"),)))
    assert [int(sequence) >> 46 for sequence in found.quarantined["sequence"].to_pylist()] == expected


def test_uniqueness_over_several_columns_compares_all_of_them_and_needs_no_key() -> None:
    rows = [insert(id=1, name="a"), insert(id=2, name="a"), insert(id=1, name="a"), insert(id=1), insert(id=1)]
    schema = attrs.evolve(SCHEMA, key=())
    found = validate(batch(schema, rows), Contract(rules=(rule(RuleKind.UNIQUE, "id", "name"),)))
    assert [int(sequence) >> 46 for sequence in found.quarantined["sequence"].to_pylist()] == [3]


def test_a_rule_over_a_column_that_the_batch_has_not_judges_nothing() -> None:
    assert validate(batch(SCHEMA, [insert(id=1)]), Contract(rules=(rule(RuleKind.NOT_NULL, "x"),))).passed.num_rows == 1


def test_a_rule_that_cannot_be_judged_is_refused() -> None:
    with pytest.raises(ConfigError):
        validate(batch(SCHEMA, [insert(id=1)]), Contract(rules=(rule(RuleKind.PATTERN, "name", pattern="("),)))


def test_the_table_may_be_chunked_and_sliced() -> None:
    one = batch(SCHEMA, [insert(id=number, name=name) for number, name in enumerate(["a", "bb", "c"])])
    table = pa.concat_tables([one.table.slice(1), one.table.slice(0, 2)])
    found = validate(attrs.evolve(one, table=table), Contract(rules=(rule(RuleKind.LENGTH, "name", maximum=1),)))
    assert found.quarantined["key"].to_pylist() == ['{"id":1}', '{"id":1}']
    assert found.passed["id"].to_pylist() == [2, 0]


def test_everything_wrong_with_a_contract_is_told_at_once() -> None:
    rules = (
        rule(RuleKind.NOT_NULL, "nosuch"),
        rule(RuleKind.PATTERN, "name", pattern="(", name="bad pattern"),
        rule(RuleKind.PATTERN, "id", pattern="a"),
        rule(RuleKind.RANGE, "id", minimum="many", name="bad number"),
        rule(RuleKind.RANGE, "id", minimum=10**30, name="never reached"),
        rule(RuleKind.RANGE, "yes", minimum=0),
        rule(RuleKind.RANGE, "price", minimum=2, maximum=1),
        rule(RuleKind.RANGE, "day", name="no bound"),
        rule(RuleKind.RANGE, "day", minimum="soon", name="bad day"),
        rule(RuleKind.LENGTH, "price", maximum=1),
        rule(RuleKind.ACCEPTED, "name", accepted=(1,)),
        rule(RuleKind.ACCEPTED, "amount", accepted=("0.001",)),
        rule(RuleKind.TYPE, "name", type="int64"),
        rule(RuleKind.NOT_NULL, "id", "name"),
        rule(RuleKind.TYPE, "name", type="int64"),
    )
    told = check_contract(Contract(rules=rules), SCHEMA)
    assert told == [
        "not_null(nosuch): the stream has no column nosuch",
        "bad pattern: the pattern is not an RE2 expression (Invalid regular expression: missing ): ()",
        "pattern(id): values of type int64 are not text",
        "bad number: 'many' is not a number",
        f"never reached: {10**30} does not fit int64",
        "range(yes): values of type bool have no range",
        "range(price): the minimum lies above the maximum",
        "no bound: has no bound",
        "bad day: Invalid isoformat string: 'soon'",
        "length(price): values of type double have no length",
        "accepted(name): 1 is not text (put it in quotes)",
        "accepted(amount): '0.001' has more decimals than decimal128(9, 2)",
        "type(name): expects int64, but the column is string",
        "not_null(id, name): only unique takes several columns",
        "type(name): expects int64, but the column is string",
        "type(name): 2 rules have this name",
    ]


def test_a_sound_contract_has_no_problems() -> None:
    rules = (
        rule(RuleKind.TYPE, "amount", type="decimal"),
        rule(RuleKind.UNIQUE, "name"),
        rule(RuleKind.RANGE, "at", maximum="2030-01-01"),
    )
    assert check_contract(Contract(rules=rules), SCHEMA) == []


SMALL = StreamSchema((Column("id", pa.int64()), Column("name", pa.string()), Column("price", pa.float64())), ("id",))
VALUES = st.fixed_dictionaries(
    {
        "id": st.integers(0, 3),
        "name": st.none() | st.sampled_from(["a", "b", "ab", ""]),
        "price": st.none() | st.sampled_from([0.0, 1.0, -1.0, math.nan]),
        "unchanged": st.lists(st.sampled_from(["name", "price"]), unique=True),
    }
)
CHANGES = st.one_of(
    VALUES.map(lambda values: update(**values)),
    VALUES.map(lambda values: insert(**{**values, "unchanged": []})),
    st.integers(0, 3).map(lambda key: delete(id=key, name="ab")),
    st.just(truncate()),
)
RULES = (
    rule(RuleKind.NOT_NULL, "name"),
    rule(RuleKind.ACCEPTED, "name", accepted=("a", "ab")),
    rule(RuleKind.RANGE, "price", minimum=0, maximum=0.5),
    rule(RuleKind.LENGTH, "name", minimum=1, maximum=1),
    rule(RuleKind.PATTERN, "name", pattern="^a"),
    rule(RuleKind.UNIQUE, "id"),
)


def naive(rows: list[dict[str, Any]]) -> list[list[str]]:
    """The labels of the rules that each row breaks, looked at one by one."""
    told = []
    present: Counter[int] = Counter()
    for row in rows:
        labels = []
        op, name, price = row[OP], row["name"], row["price"]
        left_out = row[UNCHANGED] or []
        if op == Operation.TRUNCATE:
            present.clear()
        elif op == Operation.DELETE:
            present[row["id"]] = 0
        else:
            if "name" not in left_out:
                labels += ["not_null(name)"] * (name is None)
                if name is not None:
                    labels += ["accepted(name)"] * (name not in ("a", "ab"))
            if "price" not in left_out and price is not None and not 0 <= price <= 0.5:
                labels.append("range(price)")
            if "name" not in left_out and name is not None:
                labels += ["length(name)"] * (len(name) != 1)
                labels += ["pattern(name)"] * (re.search("^a", name) is None)
            if op == Operation.INSERT:
                labels += ["unique(id)"] * present[row["id"]]
                present[row["id"]] = 1
        told.append(labels)
    return told


@settings(deadline=None)  # a slow machine is no fault
@given(st.lists(CHANGES, max_size=20))
def test_columns_judge_as_rows_do(rows: list[Row]) -> None:
    piece = batch(SMALL, rows)
    found = validate(piece, Contract(rules=RULES))
    expected = naive([{**row, OLD_KEY: None} for row in piece.table.to_pylist()])
    sequences = piece.table[SEQUENCE].to_pylist()
    assert dict(
        zip(found.quarantined["sequence"].to_pylist(), found.quarantined["reasons"].to_pylist(), strict=True)
    ) == {sequence: labels for sequence, labels in zip(sequences, expected, strict=True) if labels}
    passed = piece.table.filter(pa.array([not labels for labels in expected], pa.bool_()))
    assert repr(found.passed.to_pylist()) == repr(passed.to_pylist())  # NaN is not equal to itself
    assert found.quarantined_reasons == dict(Counter(label for labels in expected for label in labels))
