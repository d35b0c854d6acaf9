"""The same project on Snowflake, through the real dbt-snowflake: the same marts, and nothing half done on failure."""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path

import attrs
import duckdb
import pytest

from adapters.transform import build
from adapters.transform.transformer import DbtTransformer
from pipeline.domain.errors import WarehouseUnreachable
from pipeline.domain.stream import SystemSpec
from pipeline.ports.transformer import TransformResult
from tests.support.emulator import Emulator
from tests.support.shop_changes import NAMED, WHOLE, advance
from tests.support.shop_warehouse import Change, ShopWarehouse
from tests.support.snowflake_shop import SnowflakeShop

pytestmark = [pytest.mark.integration, pytest.mark.slow(seconds=270)]

SECRET = "secret-4711"
CANARY = "canary-4711"


@attrs.frozen
class Snowflake:
    """The emulated service with a database, a session to look into it, and dbt at work there."""

    emulator: Emulator
    database: str
    session: SnowflakeShop
    dbt: DbtTransformer

    def build(self, tables: set[str] | None = None, *, full_refresh: bool = False) -> TransformResult:
        names = None if tables is None else {f"shop__{table}" for table in tables}
        return self.dbt.build(names, full_refresh=full_refresh)

    def reset(self, shop: ShopWarehouse) -> None:
        """Have the tables of ``shop`` and no marts."""
        for schema in ("marts", "stg"):
            self.session.query(f"DROP SCHEMA IF EXISTS {schema} CASCADE")
        self.session.copy(shop)

    def texts(self) -> list[str]:
        """Every statement so far in order, blanks made one."""
        return [" ".join(seen.text.split()) for seen in self.emulator.seen(self.database)]


@pytest.fixture(scope="module")
def emulator() -> Iterator[Emulator]:
    with Emulator() as running:
        yield running


@pytest.fixture(scope="module")
def service(emulator: Emulator, folder: Path, project: Path, transformer: DbtTransformer) -> Iterator[Snowflake]:
    transformer.warm()
    database = emulator.new_database()
    options = emulator.options(database)
    dbt = _transformer({**options, "password": SECRET}, project, folder / "snowflake")
    dbt.warm()
    with SnowflakeShop(options) as session:
        yield Snowflake(emulator, database, session, dbt)
    dbt.close()


@pytest.fixture
def snowflake(service: Snowflake, warehouse: ShopWarehouse) -> Snowflake:
    """The shop as it was first copied, as in ``warehouse``, no marts yet."""
    service.reset(warehouse)
    return service


def _transformer(options: dict[str, object], project: Path, work: Path) -> DbtTransformer:
    return build(
        "dbt",
        {"warehouse": SystemSpec("snowflake", "warehouse", options), "project": str(project), "work": str(work)},
    )


def _outcome(result: TransformResult, name: str) -> tuple[str, str]:
    [node] = [node for node in result.nodes if node.name == name]
    return node.status, node.message


def _statuses(result: TransformResult) -> dict[str, str]:
    return {node.name: node.status for node in result.nodes}


def test_marts_are_those_of_duckdb_after_changes_of_every_kind(
    snowflake: Snowflake, transformer: DbtTransformer, warehouse: ShopWarehouse
) -> None:
    for changes in ([], NAMED, WHOLE[:3]):
        for change in changes:
            change(warehouse)
        snowflake.session.copy(warehouse)
        with ThreadPoolExecutor() as pool:
            there, here = pool.submit(snowflake.build), pool.submit(transformer.build)
        assert there.result().failed == ()
        assert _statuses(there.result()) == _statuses(here.result())
        assert snowflake.session.marts() == warehouse.marts()
        marks = (
            "SELECT (SELECT max(as_of_load) FROM marts.fct_orders), (SELECT max(as_of_load) FROM marts.fct_order_items)"
        )
        assert snowflake.session.query(marks) == warehouse.query(marks)
    assert {name: len(rows) for name, rows in warehouse.marts().items()} == {
        "dim_customers": 25,
        "dim_products": 15,
        "fct_daily_revenue": 1,
        "fct_order_items": 76,
        "fct_orders": 1,
        "fct_product_margins": 13,
        "fct_revenue_by_currency": 2,
    }


@attrs.frozen
class Run:
    """What a build did: its result, and the statements that the service got."""

    result: TransformResult
    texts: list[str]


@pytest.fixture(scope="module")
def run(service: Snowflake, folder: Path) -> Run:
    """A build behind one changed stream, after everything was built."""
    shop = ShopWarehouse(folder / "run.duckdb")
    shop.create(orders=40)
    service.reset(shop)
    service.build()
    advance(shop)
    service.session.copy(shop)
    first = len(service.texts())
    return Run(service.build({"orders"}), service.texts()[first:])


def test_only_models_behind_the_changed_stream_run(run: Run) -> None:
    assert sorted((node.name, node.status) for node in run.result.nodes if node.kind == "model") == [
        ("fct_daily_revenue", "success"),
        ("fct_order_items", "success"),
        ("fct_orders", "success"),
        ("fct_revenue_by_currency", "success"),
        ("stg_shop__orders", "success"),
    ]
    assert run.result.failed == ()


def test_a_mart_is_touched_by_one_statement(run: Run) -> None:
    change = re.compile(r"(insert|update|delete|merge|create|truncate|alter table|drop|begin|commit)\b", re.IGNORECASE)
    changes = [re.split(r" as | \(|; ", text)[0].lower() for text in run.texts if change.match(text)]
    marts = [text for text in changes if re.search(r"\.marts\.\w+?(?<!__dbt_tmp)(?<!__candidate)( |$)", text)]
    assert [re.sub(r" \w+\.marts\.", " ", text) for text in sorted(marts)] == [
        "create or replace transient table fct_daily_revenue copy grants",
        "create or replace transient table fct_revenue_by_currency copy grants",
        "merge into fct_order_items",
        "merge into fct_orders",
    ]
    assert not {"begin", "commit"} & set(changes)


def test_every_statement_of_a_node_is_tagged_with_it(run: Run) -> None:
    set_tag = re.compile(r"alter session set query_tag = '(.*)' /\*")
    told = [json.loads(match[1]) for text in run.texts if (match := set_tag.match(text))]
    assert sorted(tag.get("test", tag["model"]) for tag in told) == sorted(node.name for node in run.result.nodes)
    assert {"product": "realtime-data-pipeline", "model": "fct_orders"} in told
    test = "unique_fct_orders_order_id"
    assert {"product": "realtime-data-pipeline", "model": "fct_orders", "test": test} in told


def test_a_table_that_fails_its_test_never_replaces_the_previous_one(
    snowflake: Snowflake, warehouse: ShopWarehouse
) -> None:
    snowflake.build()
    before = snowflake.session.marts()
    advance(warehouse)
    with duckdb.connect(str(warehouse.path)) as file:
        file.execute(
            "INSERT INTO staging.shop__order_items FROM staging.shop__order_items WHERE order_id = 3 AND line_no = 1"
        )
        file.execute("UPDATE staging.shop__products SET _cdc_deleted = NULL WHERE sku = 'SKU-1'")
    snowflake.session.copy(warehouse)
    for full_refresh in (False, True):
        result = snowflake.build({"orders", "products"}, full_refresh=full_refresh)
        assert _outcome(result, "fct_order_items") == (
            "error",
            "1 rows fail the test unique_together_fct_order_items_order_id__line_no; the previous table stays",
        )
        assert _outcome(result, "dim_products") == (
            "error",
            "1 rows fail the test not_null_dim_products_is_deleted; the previous table stays",
        )
        after = snowflake.session.marts()
        # What came lies on a day without a rate.
        assert [name for name in before if after[name] != before[name]] == ["fct_daily_revenue", "fct_orders"]


def test_a_failing_model_keeps_its_table_and_what_is_behind_it_is_caught_up_later(
    snowflake: Snowflake, warehouse: ShopWarehouse, project: Path
) -> None:
    snowflake.build()
    before = snowflake.session.marts()
    model = project / "models/marts/sales/fct_orders.sql"
    whole = model.read_text()
    model.write_text(whole.replace("changed_orders.status,", "cast(changed_orders.note as integer) as status,"))
    order = warehouse.row("orders", "order_id = 3")
    warehouse.load(Change("orders", "update", order | {"total_amount": Decimal("1.00"), "note": CANARY}))
    snowflake.session.copy(warehouse)
    result = snowflake.build({"orders"})
    assert [_outcome(result, name) for name in ("fct_order_items", "fct_orders", "fct_daily_revenue")] == [
        ("success", ""),
        ("error", "Database Error, 100035 (22007)"),
        ("skipped", ""),
    ]
    after = snowflake.session.marts()
    assert (after["fct_orders"], after["fct_daily_revenue"]) == (before["fct_orders"], before["fct_daily_revenue"])
    model.write_text(whole)
    assert snowflake.build({"orders"}).failed == ()
    assert snowflake.session.query("SELECT total_amount FROM marts.fct_orders WHERE order_id = 3") == [
        (Decimal("1.00"),)
    ]


def test_rows_that_another_build_made_from_later_loads_are_not_overwritten(
    snowflake: Snowflake, warehouse: ShopWarehouse, project: Path
) -> None:
    snowflake.build()
    advance(warehouse)
    snowflake.session.copy(warehouse)
    # While the audit runs, that is between computing the rows and putting them in place.
    test = project / "tests/generic/unique_together.sql"
    meanwhile = "update marts.fct_order_items set as_of_load = 9, quantity = 100"
    hook = f"{{% if 'fct_order_items' in model | string %}}{{% do run_query('{meanwhile}') %}}{{% endif %}}\n"
    test.write_text(test.read_text().replace("select {{ columns", hook + "select {{ columns", 1))
    result = snowflake.build({"orders"})
    assert _outcome(result, "fct_order_items") == (
        "error",
        "another build of this mart got further meanwhile; this one changed nothing",
    )
    assert snowflake.session.query("SELECT DISTINCT as_of_load, quantity FROM marts.fct_order_items") == [(9, 100)]


def test_no_secret_and_no_row_value_is_left_in_results_or_files(
    snowflake: Snowflake, warehouse: ShopWarehouse, project: Path, folder: Path
) -> None:
    model = project / "models/marts/catalog/dim_products.sql"
    model.write_text(model.read_text().replace("        price,", "        cast(product_name as integer) as price,"))
    product = warehouse.row("products", "sku = 'SKU-1'")
    warehouse.load(Change("products", "update", product | {"product_name": CANARY}))
    snowflake.session.copy(warehouse)
    result = snowflake.build({"products"})
    assert _outcome(result, "dim_products") == ("error", "Database Error, 100035 (22007)")
    files = [file for file in (folder / "snowflake").rglob("*") if file.is_file()]
    assert len(files) > 10
    written = [file.read_bytes() for file in files] + [repr(result).encode()]
    assert [hit for hit in (SECRET.encode(), CANARY.encode()) if any(hit in text for text in written)] == []


def test_a_service_out_of_reach_is_said_to_be_so(snowflake: Snowflake, project: Path, folder: Path) -> None:
    options = snowflake.emulator.options(snowflake.database)
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        away = _transformer({**options, "port": unused.getsockname()[1]}, project, folder / "away")
        with pytest.raises(WarehouseUnreachable) as unreachable:
            away.build()
        away.close()
    assert unreachable.value.what == "dbt could not reach Snowflake (OperationalError 250001)"
