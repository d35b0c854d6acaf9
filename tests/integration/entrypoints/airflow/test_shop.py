"""The shop's DAG, run by Airflow's own test runner from a real PostgreSQL and its partners into DuckDB."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from entrypoints.demo.shop import count_rows
from tests.support.airflow_home import shop_file
from tests.support.airflow_shop import (
    ALL_GOOD,
    FLAT,
    LOADS,
    MARTS,
    OF_PRODUCTS,
    SHOP_FILE,
    STREAMS,
    change_product,
    noting_python,
    write_pipeline,
)
from tests.support.dag_runner import DagRunner

pytestmark = [pytest.mark.integration, pytest.mark.slow(seconds=160)]


def test_a_dry_run_only_tells_what_a_run_would_do(airflow: DagRunner, home: Path) -> None:
    result, output = airflow.run("shop", dry_run=True)
    # Loads have their names when they have begun.
    skipped = {task for task in result["tasks"] if result["tasks"][task] == "skipped" and not task.startswith("load ")}
    assert (result["state"], result["tasks"]["decide"]) == ("success", "success"), output[-4000:]
    assert skipped == {*ALL_GOOD} - {"decide", *LOADS}
    assert {result["tasks"][task] for task in result["tasks"] if task.startswith("load ")} == {"skipped"}
    steps = [(step["action"], step["stream"]) for step in result["plan"]["steps"]]
    assert sorted(steps) == sorted((action, stream) for action in ("create", "copy") for stream in STREAMS)
    assert not (home / "var/demo/shop.duckdb").exists()


def test_the_shop_is_loaded_group_by_group_and_its_marts_are_built(airflow: DagRunner, home: Path, shop: str) -> None:
    text = SHOP_FILE.read_text().replace("transform:\n", f"transform:\n  python: {noting_python(home)}\n")
    write_pipeline(home, "shop", text)
    result, output = airflow.run("shop")
    assert (result["state"], result["tasks"]) == ("success", ALL_GOOD), output[-4000:]
    names = [f"shop/staging/{stream}" for stream in STREAMS] + [f"shop/marts/{mart}" for mart in MARTS]
    told = {name: sorted(extra) for name, extra in result["events"].items()}
    assert told == {name: ["lag_s", "load", "position", "row_count"] for name in names}
    assert (home / "dbt.starts").read_text() == "started\n" * 2  # one process for each layer
    with duckdb.connect(str(home / "var/demo/shop.duckdb"), read_only=True) as connection:
        held = connection.execute("select count(*) from staging.shop__orders").fetchone()
        mart = connection.execute("select count(*) from marts.fct_orders").fetchone()
    assert held == (count_rows(shop)["orders"],)
    assert mart == held


def test_only_what_changed_is_built_and_told_of_and_where_nothing_did_nothing_is_compared(
    airflow: DagRunner, home: Path, shop: str
) -> None:
    write_pipeline(home, "shop", shop_file(airflow="{verify: rotate}"))
    change_product(shop)
    result, output = airflow.run("shop")
    assert (result["state"], result["tasks"]) == ("success", FLAT), output[-4000:]
    assert sorted(result["events"]) == OF_PRODUCTS
    idle, output = airflow.run("shop")
    assert (idle["state"], idle["tasks"]) == ("success", FLAT | {"verify": "skipped"}), output[-4000:]
    assert idle["events"] == {}


def test_a_layer_that_was_forgotten_is_told_before_anything_is_built(airflow: DagRunner, home: Path, shop: str) -> None:
    write_pipeline(home, "shop", shop_file(airflow="{layers: [marts]}"))
    result, output = airflow.run("shop")
    assert result["tasks"]["build_marts"] == "failed"
    assert "airflow.layers leaves out staging" in output
