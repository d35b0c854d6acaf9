"""Pipelines under a whole Airflow: scheduler, triggerer and API server, with LocalExecutor."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

import attrs
import duckdb
import psutil
import psycopg
import pytest

from entrypoints.airflow.client import AirflowClient
from entrypoints.airflow.local import LocalAirflow
from entrypoints.demo.partners import Partners
from entrypoints.demo.server import EmbeddedPostgres
from entrypoints.demo.shop import create_shop
from tests.support.airflow_database import make_database
from tests.support.airflow_home import make_home, plain_environment, shop_file
from tests.support.leftovers import left_of

pytestmark = [pytest.mark.integration, pytest.mark.slow(seconds=390)]

_PATIENCE_S = 240.0
#: How long a person reads before answering, at least.
_READING_S = 4.0

BIG = """
source: {kind: postgres, dsn: "${BIG_DSN}"}
warehouse: {kind: duckdb, path: var/big.duckdb}
streams: {lines: }
airflow: {retries: 2, retry_delay: 1s, deadline: 1s, approve_rows: 1000000}
"""
#: Its source is not there, and it does not try again.
AWAY = """
source: {kind: postgres, dsn: "postgresql://app:${AWAY_PASSWORD}@127.0.0.1:1/x"}
warehouse: {kind: memory}
streams: {lines: }
airflow: {retries: 0}
"""


_Given = TypeVar("_Given")


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

    def states(self, dag_id: str, run_id: str) -> dict[str, str]:
        """The states of a run's tasks, and its own under the empty name."""
        tasks = self.client.tasks(dag_id, run_id)
        return {"": self.client.run(dag_id, run_id)["state"], **{task["task_id"]: task["state"] for task in tasks}}

    def ended(self, dag_id: str, run_id: str) -> dict[str, str]:
        """The states of a run at its end."""
        until(lambda: self.client.run(dag_id, run_id)["state"] in {"success", "failed"})
        return self.states(dag_id, run_id)


def until(condition: Callable[[], _Given]) -> _Given:
    """Wait for what the condition gives once it holds."""
    deadline = time.monotonic() + _PATIENCE_S
    while not (given := condition()):
        assert time.monotonic() < deadline, "it did not come to be"
        time.sleep(0.2)
    return given


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    home = make_home(tmp_path_factory.mktemp("home"))
    pipelines = home / "config" / "pipelines"
    (pipelines / "shop.yaml").write_text(shop_file(schedule='"@changes"', airflow="{poll: 1s, wait: 1h}"))
    (pipelines / "big.yaml").write_text(BIG)
    (pipelines / "away.yaml").write_text(AWAY)
    with EmbeddedPostgres() as server, Partners(home / "suppliers") as partners:
        create_shop(server.dsn())
        with psycopg.connect(server.dsn(), autocommit=True) as connection:
            connection.execute("CREATE DATABASE big")
        with psycopg.connect(server.dsn("big")) as connection:
            connection.execute("CREATE TABLE lines (id int PRIMARY KEY, words text)")
            connection.execute("INSERT INTO lines SELECT i, repeat('words ', 20) FROM generate_series(1, 2000000) i")
            connection.execute("ANALYZE lines")
        environment = {
            **plain_environment(),
            "PIPELINE_CONFIG_DIR": str(home / "config"),
            **partners.environment,
            # Neither SHOP_DSN nor BIG_DSN: Airflow's connections hold them.
            "AIRFLOW_CONN_SHOP_DSN": server.dsn("shop").replace("postgresql://", "postgres://"),
            "AIRFLOW_VAR_AWAY_PASSWORD": "a-password-canary",
        }
        make_database(home / "airflow" / "airflow.db", environment)
        with LocalAirflow(home / "airflow", environment) as airflow:
            client = AirflowClient(airflow.url, user=airflow.user, password=airflow.password)
            until(lambda: {dag["dag_id"] for dag in client.get("dags")["dags"]} == {"away", "big", "shop"})
            client.post("connections", _connection("big_dsn", server))
            yield Stage(airflow, client, server, home)
        family = [process for process in psutil.process_iter(["environ"]) if _is_of(process, airflow.folder)]
        assert left_of(family) == []


def _connection(name: str, server: EmbeddedPostgres) -> dict[str, object]:
    place = {"host": "127.0.0.1", "port": server.port, "schema": "big"}
    return {"connection_id": name, "conn_type": "postgres", "login": "postgres", "password": server.password, **place}


def _is_of(process: psutil.Process, folder: Path) -> bool:
    return (process.info["environ"] or {}).get("AIRFLOW_HOME") == str(folder)


def test_a_commit_starts_a_run_through_the_watcher_and_its_row_reaches_a_mart(stage: Stage) -> None:
    def runs() -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = stage.client.get("dags/shop/dagRuns")["dag_runs"]
        return found

    # Nothing was ever loaded: that is the first reason to run. Others follow: the partners may always have changed.
    until(lambda: "success" in {run["state"] for run in runs()})
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
    for process in until(lambda: _loaders(stage)):
        with suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGKILL)
    done = dict.fromkeys(("decide", "load", "all_loaded", "check"), "success")
    assert stage.ended("big", run_id) == {"": "success", "approve": "skipped"} | done
    [load] = [task for task in stage.client.tasks("big", run_id) if task["task_id"] == "load"]
    assert (load["rendered_map_index"], load["try_number"]) == ("big", 2)
    [(count, distinct)] = stage.query("var/big.duckdb", "SELECT count(*), count(DISTINCT id) FROM staging.big__lines")
    assert (count, distinct) == (2_000_000, 2_000_000)
    until(lambda: "the run has not ended within 1 s" in _logs(stage))


def test_copying_a_large_table_again_waits_for_a_person_who_may_refuse(stage: Stage) -> None:
    run_id = stage.client.trigger("big", {"resync": ["lines"]})
    assert "rows of public.lines are copied again" in _answer(stage, run_id, "Reject")
    skipped = dict.fromkeys(("load", "all_loaded", "check"), "skipped")
    assert stage.ended("big", run_id) == {"": "success", "decide": "success", "approve": "success", **skipped}


def test_a_gap_is_closed_by_copying_everything_again_once_a_person_agrees(stage: Stage) -> None:
    stage.sql("big", "SELECT pg_drop_replication_slot('rdp_big')")
    stage.sql("big", "DELETE FROM lines WHERE id <= 10")
    run_id = stage.client.trigger("big", {})
    asked = _answer(stage, run_id, "Approve")
    assert "the replication slot does not exist" in asked
    assert "rows of public.lines are copied again" in asked
    assert set(stage.ended("big", run_id).values()) == {"success"}
    assert stage.query("var/big.duckdb", "SELECT count(*) FROM staging.big__lines") == [(1_999_990,)]


def test_a_run_from_the_command_line_that_fails_is_told_to_people_with_a_link(stage: Stage) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "entrypoints.cli", "airflow", "trigger", "away", "--wait", "--json"],
        env={
            **stage.airflow.environment,
            "AIRFLOW_USERNAME": stage.airflow.user,
            "AIRFLOW_PASSWORD": stage.airflow.password,
        },
        cwd=stage.home,
        capture_output=True,
        text=True,
        check=False,
        timeout=_PATIENCE_S,
    )
    assert done.returncode == 1, done.stderr
    told = json.loads(done.stdout.splitlines()[0])
    assert ("load", "away", "failed") in [(task["task"], task["group"], task["state"]) for task in told["tasks"]]
    until(lambda: "alert raised" in _logs(stage, "away"))
    logged = _logs(stage, "away")
    assert "task load of away failed after 1 attempts: 127.0.0.1:1/x: PostgreSQL could not be reached" in logged
    assert told["url"] in logged
    assert "a-password-canary" not in _logs(stage)


def _answer(stage: Stage, run_id: str, choice: str) -> str:
    """Answer when the run asks, as often as it does; gives what it asked."""
    detail = f"dags/big/dagRuns/{quote(run_id, safe='')}/taskInstances/approve/-1/hitlDetails"
    asked: list[str] = []
    asked_at: list[float] = []

    def answered() -> bool:
        state = stage.states("big", run_id)["approve"]
        assert state not in {"skipped", "failed", "upstream_failed"}
        if state != "awaiting_input" or stage.client.get(detail)["response_received"]:
            asked_at.clear()
            return state == "success"
        asked_at.append(time.monotonic())
        if asked_at[-1] - asked_at[0] > _READING_S and _askings(stage, run_id) > len(asked):
            asked.append(stage.client.get(detail)["body"])
            stage.client.patch(detail, {"chosen_options": [choice], "params_input": {}})
            asked_at.clear()
        return False

    until(answered)
    return asked[-1]


def _askings(stage: Stage, run_id: str) -> int:
    """How often the scheduler has seen the process end that asked: Airflow 3.3.2 may take an answer that comes before
    for a task that died.
    """
    ended = re.escape(f"TaskInstance Finished: dag_id=big, task_id=approve, run_id={run_id},")
    return len(re.findall(rf"{ended}.* state=awaiting_input,", _logs(stage)))


def _logs(stage: Stage, part: str = "") -> str:
    """Everything that Airflow has logged, or what is in files whose path has ``part`` in it."""
    files = [path for path in stage.airflow.folder.rglob("*.log") if f"{part}/" in f"{path}/"]
    return "\n".join(path.read_text(errors="replace") for path in files)


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
