"""Pipeline files as DAGs, run by Airflow's own test runner against a real PostgreSQL."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import duckdb
import psycopg
import pytest
import yaml

from entrypoints.demo.partners import Partners
from entrypoints.demo.server import EmbeddedPostgres
from entrypoints.demo.shop import count_rows, create_shop
from tests.support import airflow_programs
from tests.support.airflow_home import make_home, plain_environment, shop_file
from tests.support.dag_runner import DagRunner
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
def partners(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Partners]:
    with Partners(tmp_path_factory.mktemp("suppliers")) as partners:
        yield partners


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory, shop: str, partners: Partners) -> dict[str, str]:
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
        **partners.environment,
        "PW": "swordfish-canary",
    }


@pytest.fixture(scope="module")
def airflow(environment: dict[str, str]) -> Iterator[DagRunner]:
    with DagRunner(environment) as runner:
        yield runner


@pytest.fixture
def home(environment: dict[str, str]) -> Path:
    return Path(environment["AIRFLOW_HOME"]).parent


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
    # Parsing costs about what Airflow needs for any DAGs of that size: nothing of ours is slow. In seconds of CPU.
    spent, by_hand = found.pop("spent"), found.pop("by_hand")
    assert spent < 1.0
    assert spent < 2.5 * by_hand
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
            ["dry_run", "full_refresh", "resync", "window_from", "window_to"],
            yaml.safe_load(shop)["description"],
        ],
    }


STREAMS = ["addresses", "customers", "order_items", "orders", "payments", "prices", "products", "rates"]
MARTS = [
    "dim_customers",
    "dim_products",
    "fct_daily_revenue",
    "fct_order_items",
    "fct_orders",
    "fct_product_margins",
    "fct_revenue_by_currency",
]
ALL_GOOD = {**dict.fromkeys(SHOP_TASKS, "success"), "approve": "skipped"}
#: The same without layers: dbt is started once.
FLAT = {task: state for task, state in ALL_GOOD.items() if not task.startswith("build_")} | {"build": "success"}
#: What a change of a product gives events.
OF_PRODUCTS = ["shop/marts/dim_products", "shop/marts/fct_product_margins", "shop/staging/products"]


def test_a_dry_run_only_tells_what_a_run_would_do(airflow: DagRunner, home: Path) -> None:
    result, output = airflow.run("shop", dry_run=True)
    skipped = {task: "success" if task == "decide" else "skipped" for task in SHOP_TASKS}
    assert (result["state"], result["tasks"]) == ("success", skipped), output[-4000:]
    steps = [(step["action"], step["stream"]) for step in result["plan"]["steps"]]
    assert sorted(steps) == sorted((action, stream) for action in ("create", "copy") for stream in STREAMS)
    assert not (home / "var/demo/shop.duckdb").exists()


def test_the_shop_is_loaded_and_its_marts_are_built(airflow: DagRunner, home: Path, shop: str) -> None:
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
    (home / "config" / "pipelines" / "shop.yaml").write_text(shop_file(airflow="{verify: rotate}"))
    with psycopg.connect(shop) as connection:
        connection.execute("UPDATE products SET price = price + 1 WHERE sku = (SELECT min(sku) FROM products)")
    result, output = airflow.run("shop")
    assert (result["state"], result["tasks"]) == ("success", FLAT), output[-4000:]
    assert sorted(result["events"]) == OF_PRODUCTS
    idle, output = airflow.run("shop")
    assert (idle["state"], idle["tasks"]) == ("success", FLAT | {"verify": "skipped"}), output[-4000:]
    assert idle["events"] == {}


def test_beside_a_service_a_run_builds_and_loads_only_when_told_and_nobody_reads(
    airflow: DagRunner, environment: dict[str, str], home: Path, shop: str
) -> None:
    (home / "config" / "pipelines" / "shop.yaml").write_text(shop_file(airflow="{service: true}"))
    with psycopg.connect(shop) as connection:
        connection.execute("UPDATE products SET price = price + 1 WHERE sku = (SELECT min(sku) FROM products)")
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
    skipped = dict.fromkeys(("approve", "load", "check"), "skipped")
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


def test_the_same_runs_on_snowflake(airflow: DagRunner, home: Path, shop: str, emulator: Emulator) -> None:
    database = emulator.new_database()
    options = emulator.options(database)
    with psycopg.connect(shop, autocommit=True) as connection:
        connection.execute("DELETE FROM order_items WHERE order_id > 500")
        connection.execute("DELETE FROM payments WHERE order_id > 500")
        connection.execute("DELETE FROM orders WHERE order_id > 500")
    pipeline = yaml.safe_load((ROOT / "config" / "pipelines" / "shop.yaml").read_text())
    del pipeline["airflow"]["layers"]
    pipeline["warehouse"] = {"kind": "snowflake", **options, "user": "${SF__LOGIN}", "password": "${SF__PASSWORD}"}
    (home / "config" / "pipelines" / "flake.yaml").write_text(yaml.safe_dump(pipeline, sort_keys=False))
    connection_uri = f"snowflake://{options['user']}:{options['password']}@"
    result, output = airflow.run("flake", {"AIRFLOW_CONN_SF": connection_uri})
    assert (result["state"], result["tasks"]) == ("success", FLAT), output[-4000:]
    with SnowflakeShop(options) as session:
        held = session.query("SELECT count(*) FROM staging.shop__orders")
        assert held == session.query("SELECT count(*) FROM marts.fct_orders") == [(count_rows(shop)["orders"],)]


#: A dbt project with a model that knows of time, whose rows tell by which invocation they were built.
NOTES_PROJECT = {
    "dbt_project.yml": "{name: notes, profile: notes, config-version: 2, version: '1.0.0', model-paths: [models]}\n",
    "profiles.yml": (
        "notes: {target: duckdb, outputs: {duckdb: {type: duckdb, path: \"{{ env_var('DUCKDB_PATH') }}\"}}}\n"
    ),
    "models/sources.yml": (
        "sources: [{name: staging, tables: [{name: notes__notes, config: {event_time: noted_at}}]}]\n"
    ),
    "models/notes_by_year.sql": (
        "{{ config(materialized='incremental', incremental_strategy='microbatch', event_time='noted_at',"
        " batch_size='year', begin='2024-01-01') }}\n"
        "select noted_at, '{{ invocation_id }}' as built_by from {{ source('staging', 'notes__notes') }}\n"
    ),
}


@pytest.fixture(scope="module")
def notes(environment: dict[str, str], shop: str) -> Path:
    """The warehouse of a pipeline with a dbt project of its own; a note of each of three years waits to be loaded."""
    home = Path(environment["AIRFLOW_HOME"]).parent
    for name, text in NOTES_PROJECT.items():
        path = home / "notes_dbt" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (home / "config" / "pipelines" / "notes.yaml").write_text(
        'source: {kind: postgres, dsn: "${SHOP_DSN}"}\nwarehouse: {kind: duckdb, path: var/notes.duckdb}\n'
        "streams: {notes: }\ntransform: {project: notes_dbt}\nairflow: {verify: [notes], retries: 0}\n"
    )
    with psycopg.connect(shop, autocommit=True) as connection:
        connection.execute("CREATE TABLE notes (id int PRIMARY KEY, noted_at timestamp)")
        connection.execute("INSERT INTO notes SELECT year, make_date(year, 7, 1) FROM generate_series(2024, 2026) year")
    return home / "var/notes.duckdb"


def _built_by(warehouse: Path) -> dict[int, str]:
    with duckdb.connect(str(warehouse), read_only=True) as connection:
        sql = "SELECT year(noted_at), built_by FROM main.notes_by_year ORDER BY noted_at"
        return dict(connection.execute(sql).fetchall())


def test_a_backfill_builds_its_window_again_and_nothing_else(airflow: DagRunner, notes: Path) -> None:
    first, output = airflow.run("notes")
    tasks = {
        **dict.fromkeys(("decide", "load", "check", "build", "verify", "publish"), "success"),
        "approve": "skipped",
    }
    assert first["tasks"] == tasks, output[-4000:]
    before = _built_by(notes)
    window = {"window_from": "2025-01-01T01:00:00+01:00", "window_to": "2026-01-01T00:00:00Z"}
    second, output = airflow.run("notes", **window)
    assert second["tasks"] == tasks | {"verify": "skipped"}, output[-4000:]
    assert list(second["events"]) == ["notes/marts/notes_by_year"]
    after = _built_by(notes)
    assert sorted(before) == sorted(after) == [2024, 2025, 2026]
    assert [year for year in after if after[year] != before[year]] == [2025]


@pytest.mark.parametrize(
    ("window", "said"),
    [
        ({"window_from": "2025-01-01T00:00:00Z"}, "a window has two ends"),
        (
            {"window_from": "2025-01-01T00:00:00Z", "window_to": "2025-01-01T00:00:00Z"},
            "the window ends before it begins",
        ),
    ],
)
def test_a_window_without_an_end_is_refused_before_anything_is_done(
    airflow: DagRunner, notes: Path, window: dict[str, str], said: str
) -> None:
    result, output = airflow.run("notes", **window)
    assert result["tasks"]["decide"] == "failed"
    assert said in output


def test_what_an_earlier_attempt_has_loaded_is_told_of_too(airflow: DagRunner, notes: Path) -> None:
    told, _ = airflow.call(airflow_programs.load_again, name="notes", loads_before={})
    assert {name: extra["row_count"] for name, extra in told.items()} == {"notes/staging/notes": 3}


def test_a_layer_that_was_forgotten_is_told_before_anything_is_built(airflow: DagRunner, home: Path) -> None:
    (home / "config" / "pipelines" / "shop.yaml").write_text(shop_file(airflow="{layers: [marts]}"))
    result, output = airflow.run("shop")
    assert result["tasks"]["build_marts"] == "failed"
    assert "airflow.layers leaves out staging" in output


def test_a_file_that_is_wrong_fails_at_once_and_says_why(airflow: DagRunner) -> None:
    result, output = airflow.run("broken")
    assert (result["state"], result["tasks"]) == (
        "failed",
        {"decide": "failed", **dict.fromkeys(("approve", "load", "check"), "upstream_failed")},
    )
    assert "source.kind: is postgras; allowed: " in output


def test_connections_and_variables_of_airflow_hold_credentials(airflow: DagRunner, home: Path) -> None:
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
    assert airflow.call(airflow_programs.credentials, held, name="keys")[0] == [
        "postgresql://app:secret@db.example.com:5432/crm",
        {
            "account": "myorg-myaccount",
            "user": "PIPELINE",
            "database": "RAW",
            "private_key": key,
            "private_key_passphrase": "of the key",
        },
    ]


def test_a_source_that_is_away_is_left_to_the_retries_and_its_password_stays_secret(airflow: DagRunner) -> None:
    (retries, is_final, cause, text), output = airflow.call(airflow_programs.load_fails, name="away")
    assert (retries, is_final, cause) == (3, False, "None")
    assert "PostgreSQL could not be reached" in text
    assert "swordfish-canary" not in text + output


def test_an_error_that_nobody_thought_of_is_told_by_its_class_and_places_alone(airflow: DagRunner) -> None:
    failure, output = airflow.call(airflow_programs.anything_fails, name="away", canary="a-value-canary")
    assert failure == [False, "None", "unexpected ValueError; this is a defect"]
    assert "airflow_programs.py" in output
    assert "a-value-canary" not in output


def test_a_task_that_is_told_to_stop_is_tried_again(airflow: DagRunner) -> None:
    failure, _ = airflow.call(airflow_programs.stopped, name="away")
    assert failure == [False, "None", "stopped"]


def test_people_are_told_of_a_task_whose_process_is_gone(airflow: DagRunner) -> None:
    _, output = airflow.call(airflow_programs.task_is_gone, {"AIRFLOW_BASE_URL": "https://airflow.example.com/"})
    assert "task load failed after 3 attempts: its process is gone without a word" in output
    run = "https://airflow.example.com/dags/notes/runs/scheduled__2026-01-01T00:00:00%2B00:00"
    assert f"See {run}." in output
