"""Rules are named so that a reason says what was broken, without values."""

from __future__ import annotations

import pytest

from pipeline.domain.contract import Contract, OnMisfit, OnSchemaChange, Rule, RuleKind, Severity


@pytest.mark.parametrize(
    ("rule", "label"),
    [
        (Rule(RuleKind.NOT_NULL, ("id",)), "not_null(id)"),
        (Rule(RuleKind.UNIQUE, ["a", "b"]), "unique(a, b)"),
        (Rule(RuleKind.RANGE, ("price",), minimum=0, name="price is not negative"), "price is not negative"),
    ],
)
def test_a_rule_is_called_as_given_or_by_kind_and_columns(rule: Rule, label: str) -> None:
    assert rule.label == label


def test_without_a_word_rows_are_quarantined_and_schemas_followed() -> None:
    assert Rule(RuleKind.NOT_NULL, ("id",)).severity is Severity.QUARANTINE
    assert Contract() == Contract(
        rules=(), on_schema_change=OnSchemaChange.EVOLVE, on_misfit=OnMisfit.QUARANTINE, version="1"
    )
