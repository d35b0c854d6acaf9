"""Pipelines under a whole Airflow: scheduler, triggerer and API server, with LocalExecutor."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import attrs
import duckdb
import psutil
import psycopg
import pytest

from entrypoints.airflow.client import AirflowClient
from entrypoints.airflow.local import LocalAirflow
from entrypoints.demo.server import EmbeddedPostgres
from entrypoints.demo.shop import create_shop
from tests.support.airflow_home import make_home, plain_environment, shop_file

pytestmark = [pytest.mark.integration, pytest.mark.slow]

_PATIENCE_S = 150.0

BIG = """
source: {kind: postgres, dsn: "${BIG_DSN}"}
warehouse: {kind: duckdb, path: var/big.duckdb}
streams: {lines: }
airflow: {retries: 2, retry_delay: 1s}
"""


@attrs.frozen
class Stage:
    """A running Airflow, the database behind its pipelines, and the folder that their warehouses are in."""

    airflow: LocalAirflow
    client: AirflowClient
    server: EmbeddedPostgres
    home: Path

    def sql(self, database: str, text: str, *parameters: object) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.server.dsn(database), autocommit=True) as connection:
            cursor = connection.execute(text, parameters or None)
            return cursor.fetchall() if cursor.description else []

    def query(self, path: str, sql: str) -> list[tuple[Any, ...]]:
        """Rows of a warehouse's file; none while somebody else has it."""
        try:
            with duckdb.connect(str(self.home / path), read_only=True) as connection:
                return connection.execute(sql).fetchall()
        except (duckdb.IOException, duckdb.CatalogException):
            return []

    def ended(self, dag_id: str, run_id: str) -> dict[str, str]:
        """Wait for the end of a run; the states of its tasks, and its own under the empty name."""
        until(lambda: self.client.run(dag_id, run_id)["state"] in {"success", "failed"})
        tasks = self.client.tasks(dag_id, run_id)
        return {"": self.client.run(dag_id, run_id)["state"], **{task["task_id"]: task["state"] for task in tasks}}


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + _PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, "it did not come to be"
        time.sleep(0.2)


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    home = make_home(tmp_path_factory.mktemp("home"))
    pipelines = home / "config" / "pipelines"
    (pipelines / "shop.yaml").write_text(shop_file(schedule='"@changes"', airflow="{poll: 1s, wait: 1h}"))
    (pipelines / "big.yaml").write_text(BIG)
    with EmbeddedPostgres() as server:
        create_shop(server.dsn())
        with psycopg.connect(server.dsn(), autocommit=True) as connection:
            connection.execute("CREATE DATABASE big")
        with psycopg.connect(server.dsn("big")) as connection:
            connection.execute("CREATE TABLE lines (id int PRIMARY KEY, words text)")
            connection.execute("INSERT INTO lines SELECT i, repeat('words ', 20) FROM generate_series(1, 2000000) i")
        environment = {
            **plain_environment(),
            "PIPELINE_CONFIG_DIR": str(home / "config"),
            "SHOP_DSN": server.dsn("shop"),
            "BIG_DSN": server.dsn("big"),
        }
        with LocalAirflow(home / "airflow", environment) as airflow:
            client = AirflowClient(airflow.url, user=airflow.user, password=airflow.password)
            until(lambda: {dag["dag_id"] for dag in client.get("dags")["dags"]} == {"shop", "big"})
            yield Stage(airflow, client, server, home)
        left = [process for process in psutil.process_iter(["environ"]) if _is_of(process, airflow.folder)]
        assert left == []


def _is_of(process: psutil.Process, folder: Path) -> bool:
    environment = process.info["environ"] or {}
    return environment.get("AIRFLOW_HOME") == str(folder) and process.status() != psutil.STATUS_ZOMBIE


def test_a_commit_starts_a_run_through_the_watcher_and_its_row_reaches_a_mart(stage: Stage) -> None:
    def runs() -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = stage.client.get("dags/shop/dagRuns")["dag_runs"]
        return found

    # Nothing was ever loaded: that is the first reason to run.
    until(lambda: runs() and runs()[0]["state"] == "success")
    [first] = runs()
    assert first["run_type"] == "asset_triggered"
    [(order_id,)] = stage.sql(
        "shop",
        "INSERT INTO orders (customer_id, status, currency, total_amount, placed_at, updated_at)"
        " VALUES (1, 'placed', 'EUR', 0, now(), now()) RETURNING order_id",
    )
    until(lambda: stage.query("var/demo/shop.duckdb", f"SELECT 1 FROM marts.fct_orders WHERE order_id = {order_id}"))
    assert {run["run_type"] for run in runs()} == {"asset_triggered"}
    events = stage.client.get("assets/events", limit=200)["asset_events"]
    assert {"shop/source", "shop/staging/orders", "shop/marts/fct_orders"} <= {event["name"] for event in events}


def test_a_task_killed_in_the_middle_of_a_load_is_tried_again_and_nothing_is_lost(stage: Stage) -> None:
    run_id = stage.client.trigger("big", {})
    until(lambda: _loaders(stage))
    for process in _loaders(stage):
        os.kill(process.pid, signal.SIGKILL)
    states = stage.ended("big", run_id)
    assert states == {"": "success", "decide": "success", "load": "success", "check": "success"}
    [load] = [task for task in stage.client.tasks("big", run_id) if task["task_id"] == "load"]
    assert load["try_number"] == 2
    [(count, distinct)] = stage.query("var/big.duckdb", "SELECT count(*), count(DISTINCT id) FROM staging.big__lines")
    assert (count, distinct) == (2_000_000, 2_000_000)


def _loaders(stage: Stage) -> list[psutil.Process]:
    """The processes that read the table just now."""
    reading = "SELECT client_port FROM pg_stat_activity WHERE datname = 'big' AND query LIKE '%%words%%FROM%%lines%%'"
    ports = {port for (port,) in stage.sql("postgres", reading) if port}
    assert stage.airflow.pid is not None
    family = psutil.Process(stage.airflow.pid).children(recursive=True)
    return [process for process in family if ports & {link.laddr.port for link in _links(process)}]


def _links(process: psutil.Process) -> list[Any]:
    try:
        return list(process.net_connections(kind="tcp"))
    except psutil.Error:
        return []
