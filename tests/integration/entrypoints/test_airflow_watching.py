"""Reasons to start a run, as they come up at a real PostgreSQL, and what the sensor makes of them."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import psycopg
import pytest
import structlog

from entrypoints.airflow.watching import AGE, CHANGES, reasons
from entrypoints.container import opened
from entrypoints.demo.server import EmbeddedPostgres
from entrypoints.pipeline_file import load_pipeline
from entrypoints.settings import load_settings
from pipeline.application.sync import sync
from tests.support.airflow_home import make_home, plain_environment

pytestmark = pytest.mark.integration

NOTES = 'source: {kind: postgres, dsn: "${NOTES_DSN}"}\nwarehouse: {kind: duckdb, path: var/notes.duckdb}\n'
_LONG_S = 1e6


@pytest.fixture(scope="module")
def server() -> Iterator[EmbeddedPostgres]:
    with EmbeddedPostgres() as running:
        yield running


@pytest.fixture
def home(tmp_path: Path, server: EmbeddedPostgres, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    home = make_home(tmp_path / "home")
    (home / "config" / "pipelines" / "notes.yaml").write_text(f"{NOTES}streams: {{notes: }}\n")
    with psycopg.connect(server.dsn(), autocommit=True) as connection:
        connection.execute("CREATE TABLE notes (id int PRIMARY KEY)")
    monkeypatch.setenv("NOTES_DSN", server.dsn())
    monkeypatch.setenv("EMPTY", "")
    yield home
    with psycopg.connect(server.dsn(), autocommit=True) as connection:
        connection.execute("DROP TABLE notes")
        connection.execute("DROP PUBLICATION IF EXISTS rdp_notes")
        connection.execute("SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots")


def watch(home: Path, *, wait_s: float = _LONG_S) -> AsyncIterator[str]:
    config = home / "config"
    return reasons(str(config / "pipelines" / "notes.yaml"), str(config), poll_s=0.01, wait_s=wait_s)


def run(home: Path) -> None:
    settings = load_settings(config_dir=home / "config")
    with opened(load_pipeline("notes", settings).spec, logger=structlog.get_logger()) as session:
        sync(session)


def commit(server: EmbeddedPostgres, number: int) -> None:
    with psycopg.connect(server.dsn(), autocommit=True) as connection:
        connection.execute("INSERT INTO notes VALUES (%s)", [number])


def test_a_run_is_due_at_first_then_once_for_what_was_committed(home: Path, server: EmbeddedPostgres) -> None:
    async def follow() -> list[str]:
        watched = watch(home)
        found = [await anext(watched)]
        run(home)
        commit(server, 1)
        found.append(await anext(watched))
        run(home)
        commit(server, 2)
        found.append(await anext(watched))
        await watched.aclose()  # type: ignore[attr-defined] # a generator
        return found

    assert asyncio.run(asyncio.wait_for(follow(), 60)) == [CHANGES] * 3


def test_a_run_is_due_after_a_while_without_changes_too(home: Path) -> None:
    run(home)

    async def first() -> str:
        return await anext(watch(home, wait_s=0.0))

    assert asyncio.run(asyncio.wait_for(first(), 60)) == AGE


def test_what_somebody_has_to_mend_is_a_reason_once_and_a_source_that_is_away_is_none(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = home / "config" / "pipelines" / "notes.yaml"
    path.write_text(f"{NOTES}streams: {{notes: {{mode: miror}}}}\n")

    async def follow() -> list[str]:
        watched = watch(home)
        broken = await anext(watched)
        path.write_text(f"{NOTES}streams: {{notes: }}\n")
        return [broken, await anext(watched)]

    broken, mended = asyncio.run(asyncio.wait_for(follow(), 60))
    assert "streams.notes.mode: is miror" in broken
    assert mended == CHANGES

    monkeypatch.setenv("NOTES_DSN", "postgresql://app:pw@127.0.0.1:1/notes")

    async def away() -> str:
        return await anext(watch(home, wait_s=0.0))

    assert asyncio.run(asyncio.wait_for(away(), 60)) == AGE


SENSE = """
import json, sys
from types import SimpleNamespace
from airflow.sdk.exceptions import TaskDeferred
from entrypoints.airflow.sensor import ChangeSensor
path, config_dir = sys.argv[1:3]
sensor = ChangeSensor(task_id="wait", path=path, config_dir=config_dir, poll_s=1.0, wait_s=60.0)
def sense(run_type):
    try:
        return sensor.execute({"dag_run": SimpleNamespace(run_type=run_type)})
    except TaskDeferred as deferred:
        return [*deferred.trigger.serialize(), deferred.method_name]
print("RESULT", json.dumps([sense("manual"), sense("asset_triggered"), sense("scheduled"),
                            sensor.execute_complete({}, {"reason": "age"})]))
"""


@pytest.mark.slow
@pytest.mark.parametrize("is_loaded", [False, True])
def test_only_a_run_that_started_by_the_clock_waits_and_only_where_nothing_is_to_be_done(
    home: Path, server: EmbeddedPostgres, is_loaded: bool
) -> None:
    if is_loaded:
        run(home)
    config = home / "config"
    path = config / "pipelines" / "notes.yaml"
    done = subprocess.run(
        [sys.executable, "-c", SENSE, str(path), str(config)],
        env={**plain_environment(), "AIRFLOW_HOME": str(home / "airflow"), "NOTES_DSN": server.dsn()},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    [line] = [line for line in done.stdout.splitlines() if line.startswith("RESULT ")] or [done.stderr]
    arguments = {"path": str(path), "config_dir": str(config), "poll_s": 1.0, "wait_s": 60.0}
    deferred = ["entrypoints.airflow.triggers.WaitTrigger", arguments, "execute_complete"]
    scheduled = deferred if is_loaded else CHANGES
    assert json.loads(line.removeprefix("RESULT ")) == ["manual", "asset_triggered", scheduled, "age"]
