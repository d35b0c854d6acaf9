"""Pipeline files as DAGs, run by Airflow's own test runner against a real PostgreSQL."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import duckdb
import psycopg
import pytest
import yaml

from entrypoints.demo.server import EmbeddedPostgres
from entrypoints.demo.shop import count_rows, create_shop
from tests.support.airflow_home import make_home, plain_environment, shop_file
from tests.support.emulator import Emulator
from tests.support.keys import pem
from tests.support.postgres import wait_for
from tests.support.snowflake_shop import SnowflakeShop

ROOT = Path(__file__).parents[3]

SHOP_TASKS = ["decide", "approve", "load", "check", "build_staging", "build_marts", "verify", "publish"]

pytestmark = [pytest.mark.integration, pytest.mark.slow]


@pytest.fixture(scope="module")
def shop() -> Iterator[str]:
    with EmbeddedPostgres() as server:
        create_shop(server.dsn())
        yield server.dsn("shop")


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory, shop: str) -> dict[str, str]:
    """An Airflow with a database of its own, and a home folder with the shop's configuration and dbt project."""
    home = make_home(tmp_path_factory.mktemp("home"))
    pipelines = home / "config" / "pipelines"
    # dbt by an interpreter of its own, which notes that it was started.
    python = home / "python"
    python.write_text(f'#!/bin/sh\necho started >> {home}/dbt.starts\nexec {sys.executable} "$@"\n')
    python.chmod(0o755)
    text = (ROOT / "config" / "pipelines" / "shop.yaml").read_text()
    (pipelines / "shop.yaml").write_text(text.replace("transform:\n", f"transform:\n  python: {python}\n"))
    (pipelines / "away.yaml").write_text(
        "source: {kind: postgres, host: 127.0.0.1, port: 1, user: app, password: '${PW}'}\n"
        "warehouse: {kind: memory}\nstreams: {people: }\n"
    )
    (pipelines / "broken.yaml").write_text("source: {kind: postgras}\nstreams: {people: }\n")
    airflow = home / "airflow"
    airflow.mkdir()
    return {
        **plain_environment(),
        "AIRFLOW_HOME": str(airflow),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{airflow}/airflow.db",
        "AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "entrypoints" / "airflow"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__UNIT_TEST_MODE": "False",
        "PIPELINE_CONFIG_DIR": str(home / "config"),
        "SHOP_DSN": shop,
        "PW": "swordfish-canary",
    }


@pytest.fixture(scope="module")
def migrated(environment: dict[str, str]) -> dict[str, str]:
    done = subprocess.run(
        [sys.executable, "-m", "airflow", "db", "migrate"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=180,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return environment


RUN = """
import json, sys
from entrypoints.airflow.factory import build_dags
dag = build_dags()[sys.argv[1]]
run = dag.test(run_conf=json.loads(sys.argv[2]))
tasks = run.get_task_instances()
states = {ti.task_id: str(ti.state) for ti in tasks}
plan = next(ti for ti in tasks if ti.task_id == "decide").xcom_pull(task_ids="decide", key="plan")
from airflow.models.asset import AssetEvent
from airflow.utils.session import create_session
with create_session() as session:
    events = session.query(AssetEvent).filter_by(source_run_id=run.run_id).all()
    told = {event.name: sorted(event.extra) for event in events}
print("RESULT", json.dumps({"state": str(run.state), "tasks": states, "plan": plan, "events": told}))
"""


def run_dag(name: str, environment: Mapping[str, str], **params: object) -> tuple[dict[str, Any], str]:
    done = subprocess.run(
        [sys.executable, "-c", RUN, name, json.dumps(params)],
        env=environment,
        cwd=environment["AIRFLOW_HOME"],
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )
    output = done.stdout + done.stderr
    [line] = [line for line in done.stdout.splitlines() if line.startswith("RESULT ")] or [""]
    assert line, output[-4000:]
    return json.loads(line.removeprefix("RESULT ")), output


SCHEDULES = ("'*/10 * * * *'", "'@daily'", "'@continuous'", "{every: 5m}", "{assets: [shop/marts/fct_orders]}")

PARSE = """
import json, sys, time
connected = []
sys.addaudithook(lambda event, arguments: connected.append(event) if event == "socket.connect" else None)
from entrypoints.airflow import dags
from airflow.providers.standard.operators.python import PythonOperator
from airflow.sdk import DAG, Param
from airflow.serialization.serialized_objects import DagSerialization
from entrypoints.airflow.factory import build_dags
from pathlib import Path

def serialized(folder):
    return {name: DagSerialization.to_dict(dag) for name, dag in build_dags(folder).items()}

first = {name: dag for name, dag in vars(dags).items() if type(dag).__name__ == "DAG"}
hundred = Path(sys.argv[1])

def bare(number):
    # A DAG of as many tasks, written by hand.
    with DAG(dag_id=f"bare_{number}", schedule="@daily", params={"dry_run": Param(False, type="boolean")}):
        tasks = [PythonOperator(task_id=f"task_{task}", python_callable=print) for task in range(9)]
        for before, after in zip(tasks, tasks[1:]):
            before >> after

def seconds(work):
    started = time.process_time()
    work()
    return time.process_time() - started

bare(0)
ratios = [
    seconds(lambda: build_dags(hundred)) / seconds(lambda: [bare(number) for number in range(100)]) for _ in range(3)
]
heavy = sorted({"duckdb", "psycopg", "adbc_driver_manager", "dbt", "snowflake", "dynaconf"} & set(sys.modules))
shape = {
    name: [[task.task_id for task in dag.topological_sort()], dag.max_active_runs, dag.schedule]
    for name, dag in first.items()
}
shop = first["shop"]
same = serialized(None) == {name: DagSerialization.to_dict(dag) for name, dag in first.items()}
same_hundred = serialized(hundred) == serialized(hundred)
print("RESULT", json.dumps({
    "dags": shape, "same": [same, same_hundred], "heavy": heavy, "connected": connected, "ratio": min(ratios),
    "schedules": sorted({
        str([asset.uri for asset in dag.schedule] if isinstance(dag.schedule, list) else dag.schedule)
        for dag in build_dags(hundred).values()
    }),
    "shop": [shop.owner, sorted(shop.tags), sorted(shop.params), shop.doc_md.splitlines()[0]],
}))
"""


def test_dags_follow_the_pipeline_files_the_same_at_every_parse(environment: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "pipelines").mkdir()
    shop = (ROOT / "config" / "pipelines" / "shop.yaml").read_text()
    for number in range(100):
        text = f"schedule: {SCHEDULES[number % len(SCHEDULES)]}\n{shop}"
        (tmp_path / "pipelines" / f"shop_{number:03}.yaml").write_text(text)
    done = subprocess.run(
        [sys.executable, "-c", PARSE, str(tmp_path)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    [line] = [line for line in done.stdout.splitlines() if line.startswith("RESULT ")] or [done.stderr]
    found = json.loads(line.removeprefix("RESULT "))
    # Parsing costs about what Airflow needs for any DAGs of that size: nothing of ours is slow.
    assert found.pop("ratio") < 2.5
    assert found == {
        "dags": {
            "away": [["decide", "approve", "load", "check"], 1, None],
            "broken": [["decide", "approve", "load", "check"], 1, None],
            "shop": [SHOP_TASKS, 1, None],
        },
        "same": [True, True],
        "heavy": [],
        "connected": [],
        "schedules": ["*/10 * * * *", "0:05:00", "@continuous", "@daily", "['pipeline://shop/marts/fct_orders']"],
        "shop": [
            "pipeline",
            ["demo", "pipeline"],
            ["dry_run", "full_refresh", "resync"],
            "The demo's shop, from PostgreSQL into DuckDB, with dbt marts behind it.",
        ],
    }


STREAMS = ["addresses", "customers", "order_items", "orders", "payments", "products"]
MARTS = ["dim_customers", "dim_products", "fct_daily_revenue", "fct_order_items", "fct_orders"]
ALL_GOOD = {**dict.fromkeys(SHOP_TASKS, "success"), "approve": "skipped"}


def test_a_dry_run_only_tells_what_a_run_would_do(migrated: dict[str, str]) -> None:
    result, output = run_dag("shop", migrated, dry_run=True)
    skipped = {task: "success" if task == "decide" else "skipped" for task in SHOP_TASKS}
    assert (result["state"], result["tasks"]) == ("success", skipped), output[-4000:]
    steps = [(step["action"], step["stream"]) for step in result["plan"]["steps"]]
    assert sorted(steps) == sorted((action, stream) for action in ("create", "copy") for stream in STREAMS)
    assert not (Path(migrated["AIRFLOW_HOME"]).parent / "var/demo/shop.duckdb").exists()


def test_the_shop_is_loaded_and_its_marts_are_built(migrated: dict[str, str], shop: str) -> None:
    result, output = run_dag("shop", migrated)
    assert (result["state"], result["tasks"]) == ("success", ALL_GOOD), output[-4000:]
    names = [f"shop/staging/{stream}" for stream in STREAMS] + [f"shop/marts/{mart}" for mart in MARTS]
    assert result["events"] == {name: ["lag_s", "load", "position", "row_count"] for name in names}
    home = Path(migrated["AIRFLOW_HOME"]).parent
    assert (home / "dbt.starts").read_text() == "started\n" * 2  # one process for each layer
    with duckdb.connect(str(home / "var/demo/shop.duckdb"), read_only=True) as connection:
        held = connection.execute("select count(*) from staging.shop__orders").fetchone()
        mart = connection.execute("select count(*) from marts.fct_orders").fetchone()
    assert held == (count_rows(shop)["orders"],)
    assert mart == held


def test_only_what_changed_is_built_and_told_of(migrated: dict[str, str], shop: str) -> None:
    with psycopg.connect(shop) as connection:
        connection.execute("UPDATE products SET price = price + 1 WHERE sku = (SELECT min(sku) FROM products)")
    result, output = run_dag("shop", migrated)
    assert (result["state"], result["tasks"]) == ("success", ALL_GOOD), output[-4000:]
    assert sorted(result["events"]) == ["shop/marts/dim_products", "shop/staging/products"]


def test_beside_a_service_a_run_builds_and_loads_only_when_told_and_nobody_reads(
    migrated: dict[str, str], shop: str
) -> None:
    home = Path(migrated["AIRFLOW_HOME"]).parent
    (home / "config" / "pipelines" / "shop.yaml").write_text(shop_file(airflow="{service: true}"))
    with psycopg.connect(shop) as connection:
        connection.execute("UPDATE products SET price = price + 1 WHERE sku = (SELECT min(sku) FROM products)")
    service = subprocess.Popen(
        [sys.executable, "-m", "entrypoints.cli", "stream", "shop", "--no-transform", "--json"],
        env=migrated,
        cwd=home,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_for(lambda: _is_read(shop) and _loaded(home) > 0, timeout_s=60)
        beside, output = run_dag("shop", migrated, take_over=True)
    finally:
        service.terminate()
        service.wait(timeout=60)
    skipped = dict.fromkeys(("approve", "load", "check"), "skipped")
    built = dict.fromkeys(("decide", "build", "publish"), "success")
    assert (beside["state"], beside["tasks"]) == ("success", built | skipped), output[-4000:]
    # Where a file names no layers, every model counts as a mart.
    built_names = ["shop/marts/dim_products", "shop/marts/stg_shop__products", "shop/staging/products"]
    assert sorted(beside["events"]) == built_names
    assert "no service reads the log" not in output
    alone, output = run_dag("shop", migrated)
    assert alone["tasks"] == built | skipped
    assert "no service reads the log" in output
    taken_over, output = run_dag("shop", migrated, take_over=True)
    assert taken_over["tasks"] == built | skipped | {"load": "success", "check": "success"}, output[-4000:]


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


def test_the_same_runs_on_snowflake(migrated: dict[str, str], shop: str, emulator: Emulator) -> None:
    home = Path(migrated["AIRFLOW_HOME"]).parent
    database = emulator.new_database()
    options = emulator.options(database)
    with psycopg.connect(shop, autocommit=True) as connection:
        connection.execute("DELETE FROM order_items WHERE order_id > 500")
        connection.execute("DELETE FROM payments WHERE order_id > 500")
        connection.execute("DELETE FROM orders WHERE order_id > 500")
    pipeline = yaml.safe_load((ROOT / "config" / "pipelines" / "shop.yaml").read_text())
    pipeline["source"]["name"] = "shop"
    pipeline["warehouse"] = {"kind": "snowflake", **options, "user": "${SF__LOGIN}", "password": "${SF__PASSWORD}"}
    (home / "config" / "pipelines" / "flake.yaml").write_text(yaml.safe_dump(pipeline, sort_keys=False))
    connection_uri = f"snowflake://{options['user']}:{options['password']}@"
    result, output = run_dag("flake", {**migrated, "AIRFLOW_CONN_SF": connection_uri})
    assert (result["state"], result["tasks"]) == ("success", ALL_GOOD), output[-4000:]
    with SnowflakeShop(options) as session:
        held = session.query("SELECT count(*) FROM staging.shop__orders")
        assert held == session.query("SELECT count(*) FROM marts.fct_orders") == [(count_rows(shop)["orders"],)]


def test_a_layer_that_was_forgotten_is_told_before_anything_is_built(migrated: dict[str, str]) -> None:
    home = Path(migrated["AIRFLOW_HOME"]).parent
    (home / "config" / "pipelines" / "shop.yaml").write_text(shop_file(airflow="{layers: [marts]}"))
    result, output = run_dag("shop", migrated)
    assert result["tasks"]["build_marts"] == "failed"
    assert "airflow.layers leaves out staging" in output


def test_a_file_that_is_wrong_fails_at_once_and_says_why(migrated: dict[str, str]) -> None:
    result, output = run_dag("broken", migrated)
    assert (result["state"], result["tasks"]) == (
        "failed",
        {"decide": "failed", **dict.fromkeys(("approve", "load", "check"), "upstream_failed")},
    )
    assert "source.kind: is postgras; allowed: postgres" in output


KEY_PAIR = """
import json, sys
from entrypoints.airflow.credentials import AirflowEnvironment
from entrypoints.pipeline_file import load_pipeline
from entrypoints.settings import load_settings
environment = AirflowEnvironment()
spec = load_pipeline("keys", load_settings(environment=environment), environment=environment).spec
print("RESULT", json.dumps([spec.source.options["dsn"], dict(spec.warehouse.options)]))
"""


def test_connections_and_variables_of_airflow_hold_credentials(environment: dict[str, str]) -> None:
    home = Path(environment["AIRFLOW_HOME"]).parent
    (home / "config" / "pipelines" / "keys.yaml").write_text(
        "source: {kind: postgres, dsn: '${CRM_DSN}'}\nstreams: {people: }\n"
        "warehouse: {kind: snowflake, account: '${SF__ACCOUNT}', user: '${SF__LOGIN}', database: '${SF_DATABASE}',\n"
        "  private_key: '${SF__PRIVATE_KEY_CONTENT}', private_key_passphrase: '${SF__PASSWORD}'}\n"
    )
    key = pem("of the key")
    connection = {
        "conn_type": "snowflake",
        "login": "PIPELINE",
        "password": "of the key",
        "extra": {"account": "myorg-myaccount", "private_key_content": key},
    }
    held = {
        "AIRFLOW_CONN_CRM_DSN": "postgres://app:secret@db.example.com:5432/crm",
        "AIRFLOW_CONN_SF": json.dumps(connection),
        "AIRFLOW_VAR_SF_DATABASE": "RAW",
    }
    done = subprocess.run(
        [sys.executable, "-c", KEY_PAIR],
        env={**environment, **held},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    [line] = [line for line in done.stdout.splitlines() if line.startswith("RESULT ")] or [done.stderr]
    assert json.loads(line.removeprefix("RESULT ")) == [
        "postgresql://app:secret@db.example.com:5432/crm",
        {
            "account": "myorg-myaccount",
            "user": "PIPELINE",
            "database": "RAW",
            "private_key": key,
            "private_key_passphrase": "of the key",
        },
    ]


def test_a_source_that_is_away_is_left_to_the_retries_and_its_password_stays_secret(
    environment: dict[str, str],
) -> None:
    program = """
import os
from pathlib import Path
from airflow.sdk.exceptions import AirflowFailException
from entrypoints.airflow.factory import build_dags
from entrypoints.airflow.graph import perform
task = build_dags()["away"].get_task("load")
folder = Path(os.environ["PIPELINE_CONFIG_DIR"])
try:
    perform("load", str(folder / "pipelines" / "away.yaml"), str(folder), params={})
except Exception as error:
    print("RESULT", task.retries, isinstance(error, AirflowFailException), error.__cause__, error)
"""
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=False, timeout=120
    )
    assert "RESULT 3 False None " in done.stdout, done.stderr[-2000:]
    assert "swordfish-canary" not in done.stdout + done.stderr
