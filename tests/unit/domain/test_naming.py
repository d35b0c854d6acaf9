"""Warehouse names are deterministic and never collide."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pipeline.domain.naming import column_names, table_name


def test_tables_are_named_by_source_and_stream_in_plain_letters() -> None:
    assert table_name("Shop", "public.Order Items") == "shop__public_order_items"


def test_names_are_kept_as_they_are() -> None:
    names = ["id", "select", 'quo"te', "Größe", "🙂", "x" * 63, ""]
    assert column_names(names) == {name: name for name in names}


def test_names_that_differ_by_case_only_get_numbers_in_order() -> None:
    assert column_names(["a", "A", "a_2", "á", "Á"]) == {
        "a": "a", "A": "A_2", "a_2": "a_2_2", "á": "á", "Á": "Á_2",
    }  # fmt: skip


def test_names_of_the_source_never_look_like_metadata() -> None:
    assert column_names(["_cdc_op", "cdc_op", "_CDC_x"]) == {
        "_cdc_op": "cdc_op", "cdc_op": "cdc_op_2", "_CDC_x": "CDC_x",
    }  # fmt: skip


@given(st.lists(st.text(alphabet="aAbB_2ßſ", max_size=4), unique=True))
def test_no_two_names_are_equal_in_a_warehouse_that_folds_case(source_names: list[str]) -> None:
    names = column_names(source_names)
    assert list(names) == source_names
    assert len({name.casefold() for name in names.values()}) == len(source_names)
    assert names == column_names(source_names)
