"""The shop's DAG beside a service that runs ``stream``: it builds behind it, and loads only when nobody else does."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import duckdb
import psycopg
import pytest

from tests.support.airflow_home import shop_file
from tests.support.airflow_shop import LOADS, OF_PRODUCTS, change_product, write_pipeline
from tests.support.dag_runner import DagRunner
from tests.support.postgres import wait_for

pytestmark = [pytest.mark.integration, pytest.mark.slow(seconds=140)]


def test_beside_a_service_a_run_builds_and_loads_only_when_told_and_nobody_reads(
    airflow: DagRunner, environment: dict[str, str], home: Path, shop: str
) -> None:
    write_pipeline(home, "shop", shop_file())
    airflow.run("shop")
    write_pipeline(home, "shop", shop_file(airflow="{service: true}"))
    change_product(shop)
    service = subprocess.Popen(
        [sys.executable, "-m", "entrypoints.cli", "stream", "shop", "--no-transform", "--json"],
        env=environment,
        cwd=home,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_for(lambda: _is_read(shop) and _loaded(home) > 0, timeout_s=60)
        beside, output = airflow.run("shop", take_over=True)
        refused, said = airflow.run("shop", take_over=True, resync=["orders"])
    finally:
        service.terminate()
        service.wait(timeout=60)
    skipped = dict.fromkeys(("approve", "check", "all_loaded", *(f"load {number}" for number in range(3))), "skipped")
    built = dict.fromkeys(("decide", "build", "publish"), "success")
    assert (beside["state"], beside["tasks"]) == ("success", built | skipped), output[-4000:]
    assert sorted(beside["events"]) == OF_PRODUCTS
    assert "no service reads the log" not in output
    assert refused["tasks"]["decide"] == "failed"
    assert "a service loads this pipeline, so that no stream can be copied again by a run" in said
    alone, output = airflow.run("shop")
    assert alone["tasks"] == built | skipped
    assert "no service reads the log" in output
    taken_over, output = airflow.run("shop", take_over=True)
    loaded = dict.fromkeys(("check", "all_loaded", *LOADS), "success")
    assert taken_over["tasks"] == built | loaded | {"approve": "skipped"}, output[-4000:]


def _is_read(dsn: str) -> bool:
    with psycopg.connect(dsn) as connection:
        return connection.execute(
            "SELECT active FROM pg_replication_slots WHERE slot_name = 'rdp_shop'"
        ).fetchall() == [(True,)]


def _loaded(home: Path) -> int:
    """The loads that marts have not been built from."""
    try:
        with duckdb.connect(str(home / "var/demo/shop.duckdb"), read_only=True) as connection:
            return connection.execute(
                "SELECT count(*) FROM pipeline.loads WHERE load > (SELECT max(load) FROM pipeline.transforms)"
            ).fetchall()[0][0]
    except duckdb.IOException:
        return 0
