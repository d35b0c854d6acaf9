"""Names as they are stored and quoted, and texts as literals."""

from __future__ import annotations

import pytest

from adapters.warehouses.snowflake.statement import literal, qualified, quote, stored


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("orders", '"ORDERS"'),
        ("Order_2", '"ORDER_2"'),
        ("_cdc_op", '"_CDC_OP"'),
        ("select", '"SELECT"'),
        ("2fast", '"2fast"'),
        ("a b", '"a b"'),
        ("é", '"é"'),
        ("ORDERS", '"ORDERS"'),
        ('say "hi"', '"say ""hi"""'),
        ("", '""'),
    ],
)
def test_a_plain_name_is_stored_in_upper_case_and_any_other_as_it_is(name: str, expected: str) -> None:
    assert quote(name) == expected
    assert quote(stored(name)) == expected


def test_an_object_is_named_with_its_schema() -> None:
    assert qualified("staging", "shop__orders") == '"STAGING"."SHOP__ORDERS"'


@pytest.mark.parametrize(("text", "expected"), [("a", "'a'"), ("it's", "'it''s'"), ("a\\'b", "'a\\\\''b'")])
def test_a_literal_cannot_be_left(text: str, expected: str) -> None:
    assert literal(text) == expected
