"""Reasons to start a run, as they come up at a real PostgreSQL, and what the sensor makes of them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
import structlog

from entrypoints.airflow import watching as watching_module
from entrypoints.airflow.watched import Watched
from entrypoints.airflow.watching import AGE, CHANGES, Watch, next_changes, reasons
from entrypoints.container import opened
from entrypoints.demo.server import EmbeddedPostgres
from entrypoints.pipeline_file import load_pipeline
from entrypoints.settings import load_settings
from pipeline.application.sync import sync
from tests.support import airflow_programs
from tests.support.airflow_database import make_database
from tests.support.airflow_home import make_home, plain_environment
from tests.support.dag_runner import DagRunner

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


def watch(home: Path, *, wait_s: float = _LONG_S) -> AsyncGenerator[str, None]:
    return reasons(watched(home, wait_s=wait_s))


def watched(home: Path, *, wait_s: float = _LONG_S) -> Watched:
    config = home / "config"
    return Watched(str(config / "pipelines" / "notes.yaml"), str(config), poll_s=0.01, wait_s=wait_s)


def run(home: Path) -> None:
    settings = load_settings(config_dir=home / "config")
    with opened(load_pipeline("notes", settings).spec, logger=structlog.get_logger()) as session:
        sync(session)


def commit(server: EmbeddedPostgres, number: int) -> None:
    with psycopg.connect(server.dsn(), autocommit=True) as connection:
        connection.execute("INSERT INTO notes VALUES (%s)", [number])


def test_a_run_is_due_at_first_then_once_for_what_was_committed(home: Path, server: EmbeddedPostgres) -> None:
    async def follow() -> list[str]:
        watching = watch(home)
        found = [await anext(watching)]
        run(home)
        commit(server, 1)
        found.append(await anext(watching))
        run(home)
        commit(server, 2)
        found.append(await anext(watching))
        await watching.aclose()
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
        watching = watch(home)
        broken = await anext(watching)
        path.write_text(f"{NOTES}streams: {{notes: }}\n")
        return [broken, await anext(watching)]

    broken, mended = asyncio.run(asyncio.wait_for(follow(), 60))
    assert "streams.notes.mode: is miror" in broken
    assert mended == CHANGES

    monkeypatch.setenv("NOTES_DSN", "postgresql://app:pw@127.0.0.1:1/notes")

    async def away() -> str:
        return await anext(watch(home, wait_s=0.0))

    assert asyncio.run(asyncio.wait_for(away(), 60)) == AGE


def test_a_credential_that_is_missing_keeps_nobody_from_seeing_changes_of_other_sources(home: Path) -> None:
    (home / "config" / "pipelines" / "notes.yaml").write_text(
        "sources: {drop: {kind: files, url: '${DROP_URL}'}, notes: {kind: postgres, dsn: '${NOTES_DSN}'}}\n"
        "warehouse: {kind: duckdb, path: var/notes.duckdb}\n"
        "streams: {lines: {source: drop, read: {path: '*.csv'}}, notes: {source: notes}}\n"
    )

    async def first() -> str:
        return await anext(watch(home))

    assert asyncio.run(asyncio.wait_for(first(), 60)) == CHANGES


def test_an_error_that_nobody_thought_of_is_a_reason_once_and_does_not_end_the_watch(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Broken:
        rest_s = 0.0

        def look(self, *_: object, **__: object) -> None:
            raise ValueError("a-value-canary")

        def close(self) -> None:
            """Nothing is open."""

    monkeypatch.setattr(watching_module, "detector_of", lambda _: Broken())
    watch = Watch(watched(home))
    with structlog.testing.capture_logs() as logged:
        assert watch.look() == "looking failed unexpectedly with ValueError"
        assert watch.look() is None
    assert [line["event"] for line in logged] == ["look failed"] * 2
    assert "a-value-canary" not in str(logged)


def test_a_wait_ends_with_changes_or_when_its_time_is_over_whatever_is_wrong(
    home: Path, server: EmbeddedPostgres
) -> None:
    async def waited(until: float) -> str:
        return await asyncio.wait_for(next_changes(watched(home), until=until), 60)

    path = home / "config" / "pipelines" / "notes.yaml"
    path.write_text(f"{NOTES}streams: {{notes: {{mode: miror}}}}\n")
    assert asyncio.run(waited(0.0)) == AGE
    path.write_text(f"{NOTES}streams: {{notes: }}\n")
    run(home)
    assert asyncio.run(waited(0.0)) == AGE
    commit(server, 1)
    assert asyncio.run(waited(time.time() + _LONG_S)) == CHANGES


@pytest.mark.slow
def test_only_a_run_that_started_by_the_clock_waits_and_only_where_nothing_is_to_be_loaded(
    home: Path, server: EmbeddedPostgres
) -> None:
    airflow = home / "airflow"
    environment = {
        **plain_environment(),
        "AIRFLOW_HOME": str(airflow),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{airflow}/airflow.db",
        "PIPELINE_CONFIG_DIR": str(home / "config"),
        "NOTES_DSN": server.dsn(),
    }
    make_database(airflow / "airflow.db", environment)
    path = home / "config" / "pipelines" / "notes.yaml"
    with DagRunner(environment) as runner:

        def sense() -> tuple[list[Any], tuple[float, float]]:
            """What the sensor makes of it, and between which times it was asked."""
            asked_at = time.time()
            made, _ = runner.call(airflow_programs.sense, name="notes")
            return made, (asked_at, time.time())

        [*before, _], _ = sense()
        run(home)
        [*loaded, resumed], loaded_at = sense()
        path.write_text(f"{NOTES}streams: {{notes: {{mode: miror}}}}\n")
        [*broken, _], broken_at = sense()
    assert before == ["manual", "asset_triggered", CHANGES]
    assert (loaded[:2], resumed) == (["manual", "asset_triggered"], AGE)
    for (class_path, arguments, method), (asked_at, told_at) in ((loaded[2], loaded_at), (broken[2], broken_at)):
        assert (class_path, method) == ("entrypoints.airflow.triggers.WaitTrigger", "execute_complete")
        assert asked_at + 60 <= arguments.pop("until") <= told_at + 60
        assert arguments == {
            "path": str(path),
            "config_dir": str(home / "config"),
            "poll_s": 1.0,
            "wait_s": 60.0,
            "behind_service": False,
        }
