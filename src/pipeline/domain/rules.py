"""Row rules over whole columns: which rows break a rule, and what is wrong with a rule itself.

What is done with broken rows is ``validation``'s.

``unique`` looks at one batch only (uniqueness over a whole table is a dbt test's): see ``uniqueness``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.domain.bounds import lower_bound, upper_bound, value_of
from pipeline.domain.change import ChangeBatch
from pipeline.domain.contract import Rule, RuleKind
from pipeline.domain.schema import StreamSchema
from pipeline.domain.uniqueness import duplicates
from pipeline.domain.valuetext import is_binary, is_list, is_text, plain

Column: TypeAlias = pa.Array | pa.ChunkedArray
#: Says of each value whether it is good; null values are.
Test = Callable[[Column], Column]


def problems_of(rule: Rule, schema: StreamSchema) -> list[str]:
    """What is wrong with a rule over a stream of this schema: phrases, each naming the rule."""
    missing = [name for name in rule.columns if name not in schema.names]
    if missing or not rule.columns:
        return [f"{rule.label}: the stream has no column {name}" for name in missing or ["to judge"]]
    if rule.kind is RuleKind.UNIQUE:
        return []
    if len(rule.columns) > 1:
        return [f"{rule.label}: only unique takes several columns"]
    kind = plain(pa.array([], schema.column(rule.columns[0]).type)).type
    try:
        if rule.kind is RuleKind.TYPE:
            _check_type(rule, schema.column(rule.columns[0]).type)
        elif rule.kind is not RuleKind.NOT_NULL:
            _TESTS[rule.kind](rule, kind)
    except ValueError as error:
        return [f"{rule.label}: {error}"]
    return []


def broken_rows(rule: Rule, batch: ChangeBatch) -> np.ndarray | None:
    """The rows (boolean) whose value breaks the rule, None if none does.

    Rows in which the column is unchanged, or which carry no values, are the caller's to leave out. A rule over a
    column that the batch does not have judges nothing. Raises ``ValueError`` for a rule that ``problems_of`` reports.
    """
    if any(name not in batch.schema.names for name in rule.columns):
        return None
    if rule.kind is RuleKind.UNIQUE:
        return duplicates(batch, rule.columns)
    name = rule.columns[0]
    if rule.kind is RuleKind.TYPE:
        fits = type_names(batch.schema.column(name).type)
        return None if _spelt(rule.type) in fits else np.ones(batch.row_count, dtype=bool)
    values = plain(batch.table[name])
    if rule.kind is RuleKind.NOT_NULL:
        return values.is_null().to_numpy() if values.null_count else None
    good = _TESTS[rule.kind](rule, values.type)(values)
    if pc.all(good, min_count=0).as_py():
        return None
    return np.asarray(pc.fill_null(pc.invert(good), False))


def type_names(kind: pa.DataType) -> set[str]:
    """The names of a type that a contract may use: Arrow's own (``decimal128(18, 2)``), or that of its family."""
    return {_spelt(str(kind)), *(name for name, test in _FAMILIES.items() if test(kind))}


def _spelt(name: str | None) -> str:
    return (name or "").replace(" ", "").lower()


def _check_type(rule: Rule, kind: pa.DataType) -> None:
    if _spelt(rule.type) not in type_names(kind):
        raise ValueError(f"expects {rule.type}, but the column is {kind}")


def _accepted(rule: Rule, kind: pa.DataType) -> Test:
    if not rule.accepted:
        raise ValueError("lists no value")
    allowed = pa.array([value_of(value, kind).as_py() for value in rule.accepted], kind)

    def test(values: Column) -> Column:
        return pc.or_(pc.is_in(values, value_set=allowed), pc.is_null(values))

    return test


def _range(rule: Rule, kind: pa.DataType) -> Test:
    if rule.minimum is None and rule.maximum is None:
        raise ValueError("has no bound")
    low, high = lower_bound(rule.minimum, kind), upper_bound(rule.maximum, kind)
    _check_order(low, high)
    return lambda values: _between(values, low, high)


def _length(rule: Rule, kind: pa.DataType) -> Test:
    measures = ((is_text, pc.utf8_length), (is_binary, pc.binary_length), (is_list, pc.list_value_length))
    measure = next((measure for test, measure in measures if test(kind)), None)
    if measure is None:
        raise ValueError(f"values of type {kind} have no length")
    if rule.minimum is None and rule.maximum is None:
        raise ValueError("has no bound")
    low, high = lower_bound(rule.minimum, pa.int64()), upper_bound(rule.maximum, pa.int64())
    _check_order(low, high)
    return lambda values: _between(measure(values), low, high)


def _pattern(rule: Rule, kind: pa.DataType) -> Test:
    if not is_text(kind):
        raise ValueError(f"values of type {kind} are not text")
    pattern = rule.pattern
    if not pattern:
        raise ValueError("has no pattern")
    try:
        pc.match_substring_regex(pa.array([""]), pattern=pattern)
    except pa.ArrowInvalid as error:
        raise ValueError(f"the pattern is not an RE2 expression ({error})") from None
    return lambda values: pc.match_substring_regex(values, pattern=pattern)


def _check_order(low: pa.Scalar | None, high: pa.Scalar | None) -> None:
    if low is not None and high is not None and pc.greater(low, high).as_py():
        raise ValueError("the minimum lies above the maximum")


def _between(values: Column, low: pa.Scalar | None, high: pa.Scalar | None) -> Column:
    # NaN is neither above nor below anything, so it lies outside of every range
    parts = []
    if low is not None:
        parts.append(pc.greater_equal(values, low))
    if high is not None:
        parts.append(pc.less_equal(values, high))
    if not parts:
        return pc.equal(values, values)
    return parts[0] if len(parts) == 1 else pc.and_(*parts)


_FAMILIES: dict[str, Callable[[pa.DataType], bool]] = {
    "bool": pa.types.is_boolean,
    "integer": pa.types.is_integer,
    "float": pa.types.is_floating,
    "decimal": pa.types.is_decimal,
    "date": pa.types.is_date,
    "time": pa.types.is_time,
    "timestamp": pa.types.is_timestamp,
    "string": is_text,
    "binary": is_binary,
}

_TESTS: dict[RuleKind, Callable[[Rule, pa.DataType], Test]] = {
    RuleKind.ACCEPTED: _accepted,
    RuleKind.RANGE: _range,
    RuleKind.LENGTH: _length,
    RuleKind.PATTERN: _pattern,
}
