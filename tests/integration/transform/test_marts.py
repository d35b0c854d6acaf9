"""The marts after changes of every kind: what an incremental run leaves is what a full refresh leaves."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from adapters.transform.transformer import DbtTransformer
from tests.support.shop_changes import NAMED, WHOLE, change_customers
from tests.support.shop_warehouse import ShopWarehouse

pytestmark = [pytest.mark.integration, pytest.mark.slow(seconds=170)]


def _build(transformer: DbtTransformer, tables: set[str] | None = None, *, full_refresh: bool = False) -> None:
    names = None if tables is None else {f"shop__{table}" for table in tables}
    result = transformer.build(names, full_refresh=full_refresh)
    assert result.nodes
    assert [(node.name, node.message) for node in result.failed] == []


def test_the_first_build_computes_every_mart(transformer: DbtTransformer, warehouse: ShopWarehouse) -> None:
    _build(transformer)
    marts = warehouse.marts()
    assert {name: len(rows) for name, rows in marts.items()} == {
        "dim_customers": 21,
        "dim_products": 14,
        "fct_daily_revenue": 2,
        "fct_order_items": 80,
        "fct_orders": 40,
        "fct_product_margins": 14,
        "fct_revenue_by_currency": 4,
    }
    assert marts["fct_orders"][2] == (
        3,
        4,
        "paid",
        "EUR",
        datetime(2026, 1, 1, 3, tzinfo=UTC),
        date(2026, 1, 1),
        None,
        Decimal("67.50"),
        2,
        5,
        Decimal("67.50"),
        1,
        Decimal("67.50"),
        datetime(2026, 1, 1, 3, 3, tzinfo=UTC),
        True,
        datetime(2026, 1, 1, tzinfo=UTC),
    )
    assert warehouse.query(
        "SELECT interests, interest_count, language_code, has_newsletter FROM stg.stg_shop__customers"
        " WHERE customer_id BETWEEN 1 AND 3 ORDER BY customer_id"
    ) == [("books", 1, "en", True), ("books, music", 2, "en", True), ("", 0, "en", True)]
    assert marts["dim_products"][1] == (
        "SKU-1",
        "Product 1",
        "books",
        Decimal("1.99"),
        None,
        "red",
        "new",
        9000,
        False,
        False,
        datetime(2026, 1, 1, tzinfo=UTC),
    )
    totals = warehouse.query(
        "SELECT CAST(placed_at AT TIME ZONE 'UTC' AS DATE) AS d, count(*), sum(total_amount) FROM staging.shop__orders"
        " WHERE status <> 'cancelled' GROUP BY d ORDER BY d"
    )
    assert [(day, count, total) for day, _, count, _, _, total, _ in marts["fct_daily_revenue"]] == totals


def test_incremental_runs_leave_what_full_refreshes_leave(
    transformer: DbtTransformer, warehouse: ShopWarehouse
) -> None:
    _build(transformer)
    for step in [*NAMED, *WHOLE]:
        tables = step(warehouse)
        _build(transformer, tables)
        incremental = warehouse.marts()
        _build(transformer, tables, full_refresh=True)
        assert incremental == warehouse.marts(), step.__name__
    assert warehouse.query("SELECT count(*) FROM marts.fct_orders") == [(0,)]


def test_changes_of_all_kinds_at_once_are_caught_up_in_one_run(
    transformer: DbtTransformer, warehouse: ShopWarehouse
) -> None:
    _build(transformer)
    for step in NAMED:
        step(warehouse)
    _build(transformer)
    incremental = warehouse.marts()
    untouched = warehouse.query("SELECT count(*) FROM marts.fct_orders WHERE as_of_load = 1")
    _build(transformer, full_refresh=True)
    assert incremental == warehouse.marts()
    # 15 of the 40 first orders were touched or left
    assert untouched == [(25,)]


def test_a_pipeline_begun_anew_is_noticed_by_its_lower_load_number(
    transformer: DbtTransformer, warehouse: ShopWarehouse
) -> None:
    for step in NAMED[:4]:
        step(warehouse)
    _build(transformer)
    warehouse.copy_again("orders", where="order_id <> 30")
    warehouse.begin_anew()
    _build(transformer)
    incremental = warehouse.marts()
    _build(transformer, full_refresh=True)
    assert incremental == warehouse.marts()


def test_versions_of_customers_do_not_overlap_and_deleted_customers_have_no_current_one(
    transformer: DbtTransformer, warehouse: ShopWarehouse
) -> None:
    _build(transformer)
    change_customers(warehouse)
    _build(transformer, {"customers"})
    rows = warehouse.query(
        "SELECT customer_id, version_no, tier, minute(valid_from_at), minute(valid_to_at), is_current"
        " FROM marts.dim_customers WHERE customer_id IN (2, 3) ORDER BY ALL"
    )
    assert rows == [
        (2, 1, "gold", 1, 2, False),
        (2, 2, "gold", 2, 3, False),
        (2, 3, "silver", 3, 4, False),
        (2, 4, "gold", 4, None, True),
        (3, 1, "standard", 1, 5, False),
    ]


def test_every_model_says_what_a_row_is_first() -> None:
    import yaml

    models = Path(__file__).resolve().parents[3] / "dbt" / "models"
    described = {
        model["name"]: model["description"]
        for file in models.rglob("*.yml")
        for model in yaml.safe_load(file.read_text()).get("models", [])
    }
    assert set(described) == {file.stem for file in models.rglob("*.sql")}
    assert [name for name, text in described.items() if not text.startswith("One row per ")] == []
