"""What the dbt project takes for granted of the service and no emulator can prove: its SQL, as it is."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from adapters.transform import build
from adapters.transform.transformer import DbtTransformer
from pipeline.domain.stream import SystemSpec
from tests.real_snowflake.account import Account
from tests.support.shop_changes import NAMED, WHOLE
from tests.support.shop_warehouse import Change, ShopWarehouse
from tests.support.snowflake_shop import SnowflakeShop


@pytest.fixture
def shop(tmp_path: Path) -> ShopWarehouse:
    shop = ShopWarehouse(tmp_path / "shop.duckdb")
    shop.create(orders=40)
    return shop


@pytest.fixture
def session(account: Account, database: str) -> Iterator[SnowflakeShop]:
    with SnowflakeShop(account.options(database).connect) as opened:
        yield opened


@pytest.fixture
def marts(account: Account, database: str, shop: ShopWarehouse) -> Iterator[tuple[DbtTransformer, DbtTransformer]]:
    """dbt at work on Snowflake and on DuckDB."""
    there = SystemSpec("snowflake", "warehouse", account.warehouse_options(database))
    here = SystemSpec("duckdb", "warehouse", {"path": str(shop.path)})
    with ExitStack() as stack:
        both = [stack.enter_context(closing(build("dbt", {"warehouse": warehouse}))) for warehouse in (there, here)]
        yield both[0], both[1]


def test_marts_are_those_of_duckdb_after_changes_of_every_kind(
    account: Account, shop: ShopWarehouse, session: SnowflakeShop, marts: tuple[DbtTransformer, DbtTransformer]
) -> None:
    there, here = marts
    for what, changes in {"all": [], "named keys": NAMED, "every key": WHOLE[:3]}.items():
        for change in changes:
            change(shop)
        session.copy(shop)
        with account.timed(f"dbt build, {what}"):
            result = there.build()
        assert result.failed == ()
        assert here.build().failed == ()
        assert session.marts() == shop.marts()


def test_a_table_that_fails_its_test_never_replaces_the_previous_one(
    shop: ShopWarehouse, session: SnowflakeShop, marts: tuple[DbtTransformer, DbtTransformer]
) -> None:
    there, _ = marts
    session.copy(shop)
    assert there.build().failed == ()
    before = session.marts()
    shop.load(Change("orders", "update", shop.row("orders", "order_id = 4") | {"status": "shipped"}))
    session.copy(shop)
    session.query("INSERT INTO staging.shop__order_items SELECT * FROM staging.shop__order_items WHERE order_id = 4")
    for full_refresh in (False, True):
        result = there.build({"shop__orders"}, full_refresh=full_refresh)
        assert [node.message for node in result.failed if node.name == "fct_order_items"] == [
            "2 rows fail the test unique_together_fct_order_items_order_id__line_no; the previous table stays"
        ]
        assert session.marts()["fct_order_items"] == before["fct_order_items"]
