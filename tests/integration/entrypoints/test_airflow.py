"""Pipeline files as DAGs, run by Airflow's own test runner against a real PostgreSQL."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from entrypoints.demo.server import EmbeddedPostgres
from entrypoints.demo.shop import count_rows, create_shop

ROOT = Path(__file__).parents[3]

SHOP_TASKS = ["decide", "load", "check", "build_staging", "build_marts", "verify", "publish"]

pytestmark = [pytest.mark.integration, pytest.mark.slow]


@pytest.fixture(scope="module")
def shop() -> Iterator[str]:
    with EmbeddedPostgres() as server:
        create_shop(server.dsn())
        yield server.dsn("shop")


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory, shop: str) -> dict[str, str]:
    """An Airflow with a database of its own, and a home folder with the shop's configuration and dbt project."""
    home = tmp_path_factory.mktemp("home")
    pipelines = home / "config" / "pipelines"
    pipelines.mkdir(parents=True)
    (home / "dbt").symlink_to(ROOT / "dbt")
    for name in ("base.yaml", "development.yaml"):
        (home / "config" / name).write_text((ROOT / "config" / name).read_text())
    (home / "config" / "contracts").symlink_to(ROOT / "config" / "contracts")
    (pipelines / "shop.yaml").write_text((ROOT / "config" / "pipelines" / "shop.yaml").read_text())
    (pipelines / "away.yaml").write_text(
        "source: {kind: postgres, host: 127.0.0.1, port: 1, user: app, password: '${PW}'}\n"
        "warehouse: {kind: memory}\nstreams: {people: }\n"
    )
    (pipelines / "broken.yaml").write_text("source: {kind: postgras}\nstreams: {people: }\n")
    airflow = home / "airflow"
    airflow.mkdir()
    return {
        **{name: text for name, text in os.environ.items() if not name.startswith(("PIPELINE_", "AIRFLOW"))},
        "PYTHONPATH": str(ROOT),
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
run = dag.test()
states = {ti.task_id: str(ti.state) for ti in run.get_task_instances()}
print("RESULT", json.dumps({"state": str(run.state), "tasks": states}))
"""


def run_dag(name: str, environment: Mapping[str, str]) -> tuple[object, str]:
    done = subprocess.run(
        [sys.executable, "-c", RUN, name],
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
from airflow.serialization.serialized_objects import DagSerialization
from entrypoints.airflow.factory import build_dags
from pathlib import Path

def serialized(folder):
    return {name: DagSerialization.to_dict(dag) for name, dag in build_dags(folder).items()}

first = {name: dag for name, dag in vars(dags).items() if type(dag).__name__ == "DAG"}
hundred = Path(sys.argv[1])
started = time.process_time()
build_dags(hundred)
seconds = time.process_time() - started
heavy = sorted({"duckdb", "psycopg", "adbc_driver_manager", "dbt", "snowflake", "dynaconf"} & set(sys.modules))
shape = {
    name: [[task.task_id for task in dag.topological_sort()], dag.max_active_runs, dag.schedule]
    for name, dag in first.items()
}
shop = first["shop"]
same = serialized(None) == {name: DagSerialization.to_dict(dag) for name, dag in first.items()}
same_hundred = serialized(hundred) == serialized(hundred)
print("RESULT", json.dumps({
    "dags": shape, "same": [same, same_hundred], "heavy": heavy, "connected": connected, "seconds": seconds,
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
    assert found.pop("seconds") < 1.0
    assert found == {
        "dags": {
            "away": [["decide", "load", "check"], 1, None],
            "broken": [["decide", "load", "check"], 1, None],
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


def test_the_shop_is_loaded_and_its_marts_are_built(migrated: dict[str, str], shop: str) -> None:
    result, output = run_dag("shop", migrated)
    assert result == {"state": "success", "tasks": dict.fromkeys(SHOP_TASKS, "success")}, output[-4000:]
    import duckdb

    home = Path(migrated["AIRFLOW_HOME"]).parent
    with duckdb.connect(str(home / "var/demo/shop.duckdb"), read_only=True) as connection:
        held = connection.execute("select count(*) from staging.shop__orders").fetchone()
        mart = connection.execute("select count(*) from marts.fct_orders").fetchone()
    assert held == (count_rows(shop)["orders"],)
    assert mart == held


def test_a_file_that_is_wrong_fails_at_once_and_says_why(migrated: dict[str, str]) -> None:
    result, output = run_dag("broken", migrated)
    assert result == {
        "state": "failed",
        "tasks": {"decide": "success", "load": "failed", "check": "upstream_failed"},
    }
    assert "source.kind: is postgras; allowed: postgres" in output


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
