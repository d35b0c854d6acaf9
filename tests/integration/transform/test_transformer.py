"""The transformer port over a real dbt: what it runs, what it leaves behind when something fails, how it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest

from adapters.transform import build
from adapters.transform.transformer import DbtTransformer
from pipeline.domain.errors import TransformFailed, WarehouseUnreachable
from pipeline.domain.stream import SystemSpec
from pipeline.ports.transformer import NodeResult, TransformResult
from tests.support.child import environment
from tests.support.shop_warehouse import Change, ShopWarehouse

pytestmark = [pytest.mark.integration, pytest.mark.slow(seconds=150)]

ROOT = Path(__file__).resolve().parents[3]
CANARY = "canary-4711"


def _names(result: TransformResult, kind: str = "model") -> list[str]:
    return sorted(node.name for node in result.nodes if node.kind == kind)


def _only(result: TransformResult, name: str) -> NodeResult:
    [node] = [node for node in result.nodes if node.name == name]
    return node


def _until(condition: Callable[[], bool], timeout_s: float = 120.0) -> bool:
    deadline = time.monotonic() + timeout_s
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.1)
    return condition()


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def test_only_models_behind_the_changed_tables_run(transformer: DbtTransformer, warehouse: ShopWarehouse) -> None:
    everything = transformer.build()
    assert everything.failed == ()
    assert len(_names(everything)) == 16
    assert _names(transformer.build({"shop__products"})) == [
        "dim_products",
        "fct_product_margins",
        "stg_shop__products",
    ]
    assert _names(transformer.build({"shop__payments"})) == [
        "fct_daily_revenue",
        "fct_orders",
        "fct_revenue_by_currency",
        "stg_shop__payments",
    ]
    assert _names(transformer.build({"shop__addresses", "shop__products"})) == [
        "dim_customers",
        "dim_products",
        "fct_product_margins",
        "stg_shop__addresses",
        "stg_shop__products",
    ]
    assert transformer.build(()) == TransformResult(nodes=(), seconds=0.0)
    assert transformer.build({"shop__not_modelled"}).nodes == ()


def test_a_table_that_fails_its_test_never_replaces_the_previous_one(
    transformer: DbtTransformer, warehouse: ShopWarehouse
) -> None:
    transformer.build()
    before = warehouse.marts()
    with duckdb.connect(str(warehouse.path)) as connection:
        connection.execute("INSERT INTO staging.shop__order_items SELECT * FROM staging.shop__order_items LIMIT 1")
    warehouse.load(Change("orders", "update", warehouse.row("orders", "order_id = 1") | {"status": "shipped"}))
    result = transformer.build({"shop__orders"})
    failed = _only(result, "fct_order_items")
    assert (failed.status, failed.message) == (
        "error",
        "1 rows fail the test unique_together_fct_order_items_order_id__line_no; the previous table stays",
    )
    assert warehouse.marts()["fct_order_items"] == before["fct_order_items"]


def test_a_failing_full_refresh_keeps_the_previous_table(transformer: DbtTransformer, warehouse: ShopWarehouse) -> None:
    transformer.build()
    before = warehouse.marts()
    with duckdb.connect(str(warehouse.path)) as connection:
        connection.execute("UPDATE staging.shop__products SET _cdc_deleted = NULL WHERE sku = 'SKU-1'")
    result = transformer.build({"shop__products"}, full_refresh=True)
    assert _only(result, "dim_products").message == (
        "1 rows fail the test not_null_dim_products_is_deleted; the previous table stays"
    )
    assert warehouse.marts() == before


def test_a_failing_model_keeps_its_table_skips_what_is_behind_it_and_is_caught_up_later(
    transformer: DbtTransformer, warehouse: ShopWarehouse, project: Path
) -> None:
    transformer.build()
    before = warehouse.marts()
    model = project / "models/marts/sales/fct_orders.sql"
    whole = model.read_text()
    model.write_text(
        whole.replace(
            "changed_orders.status,", "cast(changed_orders.status || changed_orders.note as integer) as status,"
        )
    )
    order = warehouse.row("orders", "order_id = 3")
    warehouse.load(Change("orders", "update", order | {"total_amount": Decimal("1.00"), "note": CANARY}))
    result = transformer.build({"shop__orders"})
    assert [(node.name, node.status, node.message) for node in result.nodes if node.name.startswith("fct_")] == [
        ("fct_order_items", "success", ""),
        ("fct_orders", "error", "Runtime Error, Conversion Error"),
        ("fct_daily_revenue", "skipped", ""),
        ("fct_revenue_by_currency", "skipped", ""),
    ]
    after = warehouse.marts()
    assert (after["fct_orders"], after["fct_daily_revenue"]) == (before["fct_orders"], before["fct_daily_revenue"])
    model.write_text(whole)
    transformer.build({"shop__orders"})
    assert warehouse.query("SELECT total_amount FROM marts.fct_orders WHERE order_id = 3") == [(Decimal("1.00"),)]


def test_no_row_value_is_left_in_results_or_files(
    transformer: DbtTransformer, warehouse: ShopWarehouse, project: Path, folder: Path
) -> None:
    model = project / "models/marts/catalog/dim_products.sql"
    model.write_text(model.read_text().replace("        price,", "        cast(product_name as integer) as price,"))
    product = warehouse.row("products", "sku = 'SKU-1'")
    warehouse.load(Change("products", "update", product | {"product_name": CANARY}))
    result = transformer.build({"shop__products"})
    assert _only(result, "dim_products").status == "error"
    assert CANARY not in repr(result)
    files = [file for file in (folder / "work").rglob("*") if file.is_file()]
    assert files
    assert [file.name for file in files if CANARY.encode() in file.read_bytes()] == []


def test_a_broken_project_is_an_error_that_names_the_class(
    transformer: DbtTransformer, warehouse: ShopWarehouse, project: Path
) -> None:
    model = project / "models/marts/catalog/dim_products.sql"
    model.write_text("select * from {{ ref('no_such_model') }}")
    with pytest.raises(TransformFailed) as raised:
        transformer.build()
    assert raised.value.facts == {"error_class": "TargetNotFoundError"}
    assert "dbt parse --project-dir" in raised.value.hint


def test_the_file_is_free_for_another_process_right_after_a_build(
    transformer: DbtTransformer, warehouse: ShopWarehouse
) -> None:
    transformer.build()
    code = "import duckdb, sys; duckdb.connect(sys.argv[1]).execute('CREATE TABLE staging.x AS SELECT 1')"
    done = subprocess.run([sys.executable, "-c", code, str(warehouse.path)], capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")


def test_a_build_waits_for_a_busy_loader_and_gets_in(transformer: DbtTransformer, warehouse: ShopWarehouse) -> None:
    stop = threading.Event()
    rounds = 0

    def load_without_end() -> None:
        nonlocal rounds
        while not stop.is_set():
            try:
                with duckdb.connect(str(warehouse.path)) as connection:
                    connection.execute("CREATE OR REPLACE TABLE staging.busy AS SELECT * FROM range(1000)")
                    stop.wait(0.02)
                rounds += 1
            except duckdb.IOException:
                pass
            stop.wait(0.002)

    loader = threading.Thread(target=load_without_end)
    loader.start()
    try:
        result = transformer.build()
        rounds_before = rounds
        assert _until(lambda: rounds > rounds_before)
    finally:
        stop.set()
        loader.join()
    assert result.failed == ()
    assert rounds > 1


def test_a_file_that_stays_locked_is_an_error_that_says_so(warehouse: ShopWarehouse) -> None:
    system = SystemSpec("duckdb", "warehouse", {"path": str(warehouse.path)})
    transformer = build("dbt", {"warehouse": system, "lock_timeout_s": 0.2})
    try:
        with duckdb.connect(str(warehouse.path)), pytest.raises(WarehouseUnreachable) as raised:
            transformer.build()
        assert raised.value.what == "the file is held by another process for more than 0.2 s"
        assert transformer.build().failed == ()
    finally:
        transformer.close()


def test_a_build_that_is_closed_ends_at_once_and_the_next_one_starts_anew(
    transformer: DbtTransformer, warehouse: ShopWarehouse, project: Path
) -> None:
    transformer.build()
    before = warehouse.marts()
    model = project / "models/marts/catalog/dim_products.sql"
    whole = model.read_text()
    endless = whole + "where (select sum(a.range * b.range) from range(1000000) a, range(1000000) b) > 0"
    model.write_text(endless)
    raised: list[BaseException] = []

    def run() -> None:
        try:
            transformer.build({"shop__products"})
        except TransformFailed as error:
            raised.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    pid = transformer.pid
    assert pid is not None
    assert _until(lambda: _is_locked(warehouse.path))
    transformer.close()
    thread.join(60)
    assert not thread.is_alive()
    assert [type(error) for error in raised] == [TransformFailed]
    assert not _runs(pid)
    model.write_text(whole)
    assert transformer.build({"shop__products"}).failed == ()
    assert warehouse.marts() == before


def test_no_process_outlives_a_parent_that_is_killed(warehouse: ShopWarehouse, folder: Path) -> None:
    code = (
        "import sys\n"
        "from adapters.transform import build\n"
        "from pipeline.domain.stream import SystemSpec\n"
        "t = build('dbt', {'warehouse': SystemSpec('duckdb', 'w', {'path': sys.argv[1]}), 'work': sys.argv[2]})\n"
        "t.warm()\n"
        "print(t.pid, flush=True)\n"
        "sys.stdin.read()\n"
    )
    work = folder / "work-of-the-killed"
    with subprocess.Popen(
        [sys.executable, "-c", code, str(warehouse.path), str(work)],
        stdin=subprocess.PIPE,  # nothing is ever written; once it is closed the parent ends by itself
        stdout=subprocess.PIPE,
        env=environment(),
    ) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        assert _until(lambda: _runs(pid) and work.exists() and any(work.iterdir()))
        parent.send_signal(signal.SIGKILL)
    assert _until(lambda: not _runs(pid))
    assert list(work.iterdir()) == []


def test_the_project_parses_for_snowflake_without_a_connection(tmp_path: Path) -> None:
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "from dbt.cli.main import cli; cli()",
            "parse",
            "--target",
            "snowflake",
            "--no-version-check",
        ],
        cwd=ROOT / "dbt",
        env={
            **os.environ,
            "DBT_PROFILES_DIR": str(ROOT / "dbt"),
            "DBT_TARGET_PATH": str(tmp_path),
            "DBT_LOG_PATH": str(tmp_path),
            "SNOWFLAKE_ACCOUNT": "example",
            "SNOWFLAKE_USERNAME": "example",
            "SNOWFLAKE_DATABASE": "example",
        },
        capture_output=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, b"")


def _is_locked(path: Path) -> bool:
    try:
        duckdb.connect(str(path)).close()
    except duckdb.IOException:
        return True
    return False
