"""The shop's DAG into an emulated Snowflake, its credentials held by a connection of Airflow."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from entrypoints.demo.shop import count_rows
from tests.support.airflow_home import shop_file
from tests.support.airflow_shop import FLAT, OF_PRODUCTS, change_product, write_pipeline
from tests.support.dag_runner import DagRunner
from tests.support.emulator import Emulator
from tests.support.snowflake_shop import SnowflakeShop

pytestmark = [pytest.mark.integration, pytest.mark.slow(seconds=90)]


def test_a_run_loads_and_builds_and_one_group_that_fails_keeps_the_others_from_neither(
    airflow: DagRunner, home: Path, shop: str, emulator: Emulator
) -> None:
    database = emulator.new_database()
    options = emulator.options(database)
    pipeline = yaml.safe_load(shop_file())
    pipeline["airflow"] = {"retries": 0, "verify": "rotate"}
    pipeline["warehouse"] = {"kind": "snowflake", **options, "user": "${SF__LOGIN}", "password": "${SF__PASSWORD}"}
    write_pipeline(home, "flake", yaml.safe_dump(pipeline, sort_keys=False))
    signed_in = {"AIRFLOW_CONN_SF": f"snowflake://{options['user']}:{options['password']}@"}
    result, output = airflow.run("flake", signed_in)
    assert (result["state"], result["tasks"]) == ("success", FLAT), output[-4000:]
    with SnowflakeShop(options) as session:
        held = session.query("SELECT count(*) FROM staging.shop__orders")
        assert held == session.query("SELECT count(*) FROM marts.fct_orders") == [(count_rows(shop)["orders"],)]

    change_product(shop)
    failing, output = airflow.run("flake", {**signed_in, "SHOP_RATES_URL": "http://127.0.0.1:1"})
    failed = {"load fx__rates": "failed", "all_loaded": "upstream_failed"}
    assert (failing["state"], failing["tasks"]) == ("failed", FLAT | failed), output[-4000:]
    assert sorted(failing["events"]) == [name.replace("shop/", "flake/", 1) for name in OF_PRODUCTS]
