"""Windows of marts that are built again, by a dbt project with a model that knows of time."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import duckdb
import psycopg
import pytest

from entrypoints.demo.server import EmbeddedPostgres
from tests.support import airflow_programs
from tests.support.airflow_shop import airflow_environment, write_pipeline
from tests.support.dag_runner import DagRunner

pytestmark = [pytest.mark.integration, pytest.mark.slow(seconds=70)]

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
def server() -> Iterator[EmbeddedPostgres]:
    with EmbeddedPostgres() as running:
        yield running


@pytest.fixture(scope="module")
def environment(home: Path, server: EmbeddedPostgres) -> dict[str, str]:
    """Without the shop."""
    return airflow_environment(home, {"NOTES_DSN": server.dsn()})


@pytest.fixture(scope="module")
def notes(home: Path, server: EmbeddedPostgres) -> Path:
    """The warehouse of a pipeline with a dbt project of its own; a note of each of three years waits to be loaded."""
    for name, text in NOTES_PROJECT.items():
        path = home / "notes_dbt" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    write_pipeline(
        home,
        "notes",
        'source: {kind: postgres, dsn: "${NOTES_DSN}"}\nwarehouse: {kind: duckdb, path: var/notes.duckdb}\n'
        "streams: {notes: }\ntransform: {project: notes_dbt}\nairflow: {verify: [notes], retries: 0}\n",
    )
    with psycopg.connect(server.dsn(), autocommit=True) as connection:
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
        **dict.fromkeys(("decide", "load notes", "check", "all_loaded", "build", "verify", "publish"), "success"),
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
