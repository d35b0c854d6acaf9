"""Log that the source loses between ``decide``, which would have asked, and ``load``: nothing is copied unasked."""

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

pytestmark = [pytest.mark.integration, pytest.mark.slow(seconds=50)]

NOTES = (
    'source: {{kind: postgres, dsn: "${{NOTES_DSN}}"}}\nwarehouse: {{kind: duckdb, path: var/notes.duckdb}}\n'
    "streams: {{notes: }}\nairflow: {{approve: {approve}}}\n"
)
RUN = "https://airflow.example.com/dags/notes/runs/scheduled__2026-01-01T00:00:00%2B00:00"


@pytest.fixture(scope="module")
def server() -> Iterator[EmbeddedPostgres]:
    with EmbeddedPostgres() as running:
        with psycopg.connect(running.dsn(), autocommit=True) as connection:
            connection.execute("CREATE TABLE notes (id int PRIMARY KEY)")
            connection.execute("INSERT INTO notes VALUES (1)")
        yield running


@pytest.fixture(scope="module")
def environment(home: Path, server: EmbeddedPostgres) -> dict[str, str]:
    """Without the shop."""
    held = {"NOTES_DSN": server.dsn(), "AIRFLOW_BASE_URL": "https://airflow.example.com"}
    environment = airflow_environment(home, held)
    write_pipeline(home, "notes", NOTES.format(approve="true"))
    return environment


def test_a_load_that_meets_a_gap_fails_at_once_and_says_where_to_agree(
    airflow: DagRunner, home: Path, server: EmbeddedPostgres
) -> None:
    result, output = airflow.run("notes")
    assert result["state"] == "success", output[-4000:]
    with psycopg.connect(server.dsn(), autocommit=True) as connection:
        connection.execute("SELECT pg_drop_replication_slot('rdp_notes')")
        connection.execute("DELETE FROM notes")
    for resync in ([], ["notes"]):
        (_, is_final, cause, text), _ = airflow.call(airflow_programs.load_fails, name="notes", resync=resync)
        assert (is_final, cause) == (True, "None")
        assert "the replication slot does not exist" in text
        assert text.endswith(
            "Clear the task decide of this run with all that is downstream, or start another run: it asks under "
            f"Required Actions whether to copy all streams again ({RUN})."
        )
    assert _row_count(home) == 1


def test_where_runs_do_not_ask_it_says_which_streams_to_name(airflow: DagRunner, home: Path) -> None:
    write_pipeline(home, "notes", NOTES.format(approve="false"))
    (_, is_final, _, text), _ = airflow.call(airflow_programs.load_fails, name="notes")
    assert is_final
    assert text.endswith("Start a run whose param resync names all of: notes; changes in between are in no changelog.")
    result, output = airflow.run("notes", resync=["notes"])
    assert result["state"] == "success", output[-4000:]
    assert _row_count(home) == 0


def _row_count(home: Path) -> int:
    with duckdb.connect(str(home / "var/notes.duckdb"), read_only=True) as connection:
        [(count,)] = connection.execute("SELECT count(*) FROM staging.notes__notes").fetchall()
    return int(count)
