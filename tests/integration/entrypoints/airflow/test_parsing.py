"""DAGs as they are parsed: those of the pipeline files, cheap, without a driver, and the same each time."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.support.airflow_shop import AWAY, BROKEN, SHOP_FILE, airflow_environment, write_pipeline

pytestmark = [pytest.mark.integration, pytest.mark.slow]

ONE_GROUP = ["decide", "approve", "load", "check", "all_loaded"]
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
spent = [seconds(lambda: build_dags(hundred)) for _ in range(3)]
by_hand = [seconds(lambda: [bare(number) for number in range(100)]) for _ in range(3)]
heavy = sorted({"duckdb", "psycopg", "adbc_driver_manager", "dbt", "snowflake", "dynaconf"} & set(sys.modules))
shape = {
    name: [[task.task_id for task in dag.topological_sort()], dag.max_active_runs, dag.schedule]
    for name, dag in first.items()
}
shop = first["shop"]
same = serialized(None) == {name: DagSerialization.to_dict(dag) for name, dag in first.items()}
same_hundred = serialized(hundred) == serialized(hundred)
print("RESULT", json.dumps({
    "dags": shape, "same": [same, same_hundred], "heavy": heavy, "connected": connected,
    "spent": min(spent), "by_hand": min(by_hand),
    "schedules": sorted({
        str([asset.uri for asset in dag.schedule] if isinstance(dag.schedule, list) else dag.schedule)
        for dag in build_dags(hundred).values()
    }),
    "shop": [shop.owner, sorted(shop.tags), sorted(shop.params), shop.doc_md.splitlines()[0]],
}))
"""


@pytest.fixture(scope="module")
def environment(home: Path) -> dict[str, str]:
    """With three pipeline files, of which one is wrong."""
    environment = airflow_environment(home, {})
    for name, text in {"shop": SHOP_FILE.read_text(), "away": AWAY, "broken": BROKEN}.items():
        write_pipeline(home, name, text)
    return environment


def test_dags_follow_the_pipeline_files_the_same_at_every_parse(environment: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "pipelines").mkdir()
    shop = SHOP_FILE.read_text()
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
    # Parsing costs about what Airflow needs for any DAGs of that size: nothing of ours is slow. In seconds of CPU.
    spent, by_hand = found.pop("spent"), found.pop("by_hand")
    assert spent < 1.0
    assert spent < 2.5 * by_hand
    assert found == {
        "dags": {
            "away": [ONE_GROUP, 1, None],
            "broken": [ONE_GROUP, 1, None],
            "shop": [[*ONE_GROUP, "build_staging", "build_marts", "verify", "publish"], 1, None],
        },
        "same": [True, True],
        "heavy": [],
        "connected": [],
        "schedules": ["*/10 * * * *", "0:05:00", "@continuous", "@daily", "['pipeline://shop/marts/fct_orders']"],
        "shop": [
            "pipeline",
            ["demo", "pipeline"],
            ["dry_run", "full_refresh", "resync", "window_from", "window_to"],
            yaml.safe_load(shop)["description"],
        ],
    }
