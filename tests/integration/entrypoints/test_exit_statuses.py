"""What the exit status tells of systems that do not answer, and of those that are not set up: 3 and 2."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from entrypoints.cli.__main__ import main
from entrypoints.demo.server import EmbeddedPostgres

ROOT = Path(__file__).parents[3]

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def dsn() -> Iterator[str]:
    with EmbeddedPostgres() as server:
        with psycopg.connect(server.dsn(), autocommit=True) as connection:
            connection.execute("create table people (id int primary key, name text)")
        yield server.dsn()


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dsn: str) -> Path:
    folder = tmp_path / "config"
    (folder / "pipelines").mkdir(parents=True)
    for name in ("base.yaml", "development.yaml"):
        (folder / name).write_text((ROOT / "config" / name).read_text())
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CRM_DSN", dsn)
    for name in [name for name in os.environ if name.startswith("PIPELINE_")]:
        monkeypatch.delenv(name)
    write(tmp_path)
    return tmp_path


def write(home: Path, path: str = "var/crm.duckdb") -> None:
    (home / "config/pipelines/crm.yaml").write_text(
        "source: {kind: postgres, dsn: '${CRM_DSN}'}\nstreams: {people: }\n"
        f"warehouse: {{kind: duckdb, path: {path}, wait: 50ms}}\n"
    )


def status_of(command: str, capsys: pytest.CaptureFixture[str]) -> int:
    """The exit status of a command on the pipeline, which must have said what to do."""
    name, *rest = command.split()
    status = main([name, "crm", *rest, "--json"])
    told = json.loads(capsys.readouterr().out)
    errors = [told["error"]] if "error" in told else [f for f in told.get("findings", []) if f["level"] == "error"]
    assert all(error["hint"] for error in errors)
    assert bool(errors) == bool(status)
    return status


@contextmanager
def held(path: Path) -> Iterator[None]:
    """Another process has the database file open."""
    script = "import duckdb, sys; c = duckdb.connect(sys.argv[1]); print('held', flush=True); sys.stdin.read(1)"
    with subprocess.Popen(
        [sys.executable, "-c", script, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdin is not None
        assert holder.stdout.readline() == b"held\n"
        yield
        holder.stdin.close()


@pytest.fixture(params=["nobody listens", "nobody knows the host"])
def away(request: pytest.FixtureRequest) -> str:
    """The address of a source that is not there."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        place = f"127.0.0.1:{unused.getsockname()[1]}" if request.param == "nobody listens" else "db.invalid:5432"
    return f"postgresql://someone:secret@{place}/crm"


@pytest.fixture
def begun(home: Path, dsn: str, capsys: pytest.CaptureFixture[str]) -> Iterator[Path]:
    """The pipeline has run once."""
    assert status_of("run", capsys) == 0
    yield home
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("select pg_drop_replication_slot('rdp_crm')")


@pytest.mark.parametrize("place", ["home", "begun"])
@pytest.mark.parametrize("command", ["doctor", "plan", "verify"])
def test_the_source_cannot_be_reached(
    place: str,
    command: str,
    away: str,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    request.getfixturevalue(place)
    monkeypatch.setenv("CRM_DSN", away)
    assert status_of(command, capsys) == 3
    assert status_of("status", capsys) == 0


def test_a_file_for_a_source_that_cannot_be_reached(home: Path, away: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CRM_DSN", away)
    assert main(["init", "other", "--dsn-env", "CRM_DSN"]) == 3
    assert not (home / "config/pipelines/other.yaml").exists()


@pytest.mark.parametrize("command", ["doctor", "plan", "verify", "run", "status"])
def test_the_file_stays_locked(home: Path, command: str, capsys: pytest.CaptureFixture[str]) -> None:
    (home / "var").mkdir()
    with held(home / "var/crm.duckdb"):
        assert status_of(command, capsys) == 3


@pytest.mark.parametrize("command", ["doctor", "plan", "run", "verify"])
def test_the_path_leads_through_a_file(home: Path, command: str, capsys: pytest.CaptureFixture[str]) -> None:
    (home / "taken").touch()
    write(home, "taken/crm.duckdb")
    assert status_of(command, capsys) == 2


@pytest.mark.parametrize("command", ["doctor", "plan", "run", "status", "verify"])
def test_the_file_is_no_database(home: Path, command: str, capsys: pytest.CaptureFixture[str]) -> None:
    (home / "var").mkdir()
    (home / "var/crm.duckdb").write_text("something else")
    assert status_of(command, capsys) == (2 if command == "doctor" else 1)


def test_what_has_to_be_changed_outweighs_what_is_unreachable(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CRM_DSN", "postgresql://someone:secret@db.invalid/crm")
    (home / "taken").touch()
    write(home, "taken/crm.duckdb")
    assert status_of("doctor", capsys) == 2


def test_a_dbt_project_that_is_not_there(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with (home / "config/pipelines/crm.yaml").open("a") as file:
        file.write("transform: {project: nowhere}\n")
    assert status_of("doctor", capsys) == 2
