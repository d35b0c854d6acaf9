"""Commands on a real database, as a person uses them on one of their own: init, doctor, plan, run, status, verify."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from entrypoints.demo.server import EmbeddedPostgres

ROOT = Path(__file__).parents[3]

pytestmark = [pytest.mark.integration, pytest.mark.slow(seconds=100)]


@pytest.fixture(scope="module")
def dsn() -> Iterator[str]:
    with EmbeddedPostgres() as server:
        with psycopg.connect(server.dsn(), autocommit=True) as connection:
            connection.execute("create table people (id int primary key, name text)")
            connection.execute("create table notes (body text)")
            connection.execute("alter table notes replica identity full")
            connection.execute("create table scraps (body text)")
            connection.execute("create view names as select name from people")
            connection.execute("insert into people select n, 'row-value-canary' from generate_series(1, 100) n")
        yield server.dsn()


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("home")
    (folder / "config" / "pipelines").mkdir(parents=True)
    for name in ("base.yaml", "development.yaml"):
        (folder / "config" / name).write_text((ROOT / "config" / name).read_text())
    return folder


def environment(dsn: str) -> dict[str, str]:
    kept = {name: text for name, text in os.environ.items() if not name.startswith("PIPELINE_")}
    return {**kept, "PYTHONPATH": str(ROOT), "CRM_DSN": dsn}


def cli(home: Path, dsn: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "entrypoints.cli", *arguments],
        cwd=home,
        env=environment(dsn),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def test_from_init_to_verify_without_editing_anything(home: Path, dsn: str) -> None:
    written = cli(home, dsn, "init", "crm", "--dsn-env", "CRM_DSN", "--json")
    assert written.returncode == 0, written.stderr
    assert json.loads(written.stdout)["streams"] == ["notes", "people"]
    text = (home / "config/pipelines/crm.yaml").read_text()
    assert "dsn: ${CRM_DSN}" in text
    assert dsn not in text
    assert "public.names (view)" in text
    assert "public.scraps (table)" in text

    again = cli(home, dsn, "init", "crm", "--dsn-env", "CRM_DSN")
    assert again.returncode == 2
    assert "the file exists already" in again.stderr

    assert cli(home, dsn, "doctor", "crm", "--json").returncode == 0
    steps = json.loads(cli(home, dsn, "plan", "crm", "--json").stdout)["steps"]
    assert [(step["stream"], step["action"]) for step in steps] == [
        ("notes", "create"),
        ("notes", "copy"),
        ("people", "create"),
        ("people", "copy"),
    ]

    ran = cli(home, dsn, "run", "crm", "--json")
    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stdout)["copied"] == {
        "notes": {"row_count": 0, "quarantined_count": 0},
        "people": {"row_count": 100, "quarantined_count": 0},
    }
    assert cli(home, dsn, "run", "crm").stdout.startswith("no change since the checkpoint\ndone in ")
    verified = cli(home, dsn, "verify", "crm", "people", "--json")
    assert verified.returncode == 0, verified.stderr
    [stream] = json.loads(verified.stdout)["streams"]
    assert (stream["equal"], stream["comparison"]["compared_count"]) == (True, 100)

    log = "".join(path.read_text() for path in (home / "var/logs").iterdir())
    assert "copy finished" in log
    assert "row-value-canary" not in log
    assert dsn.partition("@")[0].rpartition(":")[2] not in log


def test_a_stream_ends_well_when_it_is_told_to(home: Path, dsn: str) -> None:
    (home / "config/pipelines/follow.yaml").write_text(
        "source: {kind: postgres, dsn: '${CRM_DSN}'}\nstreams: {people: }\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-m", "entrypoints.cli", "stream", "follow", "--json"],
        cwd=home,
        env=environment(dsn),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        _until(home / "var/logs/follow.log", "copy finished")
        with psycopg.connect(dsn, autocommit=True) as connection:
            connection.execute("insert into people values (101, 'new')")
        _until(home / "var/logs/follow.log", "batch applied")
        process.send_signal(signal.SIGTERM)
        output, errors = process.communicate(timeout=60)
    finally:
        if process.poll() is None:
            process.kill()
    assert process.returncode == 0, errors
    result = json.loads(output)
    assert (result["stopped"], result["streams"]["people"]["read_count"]) == (True, 1)


def test_the_way_on_after_the_source_lost_its_log_is_told_and_works(home: Path, dsn: str) -> None:
    (home / "config/pipelines/lost.yaml").write_text(
        "source: {kind: postgres, dsn: '${CRM_DSN}'}\nstreams: {people: }\n"
    )
    assert cli(home, dsn, "run", "lost").returncode == 0
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("select pg_drop_replication_slot('rdp_lost')")
    for command in (("run", "lost"), ("plan", "lost")):
        refused = cli(home, dsn, *command)
        assert refused.returncode == 2
        assert "resync PIPELINE --all" in " ".join((refused.stdout + refused.stderr).split())
    again = cli(home, dsn, "resync", "lost", "--all")
    assert again.returncode == 0, again.stderr
    assert again.stdout.splitlines()[1].split()[:2] == ["people", str(_count(dsn))]
    assert cli(home, dsn, "verify", "lost").returncode == 0


def _count(dsn: str) -> int:
    with psycopg.connect(dsn) as connection:
        [(count,)] = connection.execute("select count(*) from people").fetchall()
    return int(count)


def _until(log: Path, event: str, *, timeout_s: float = 60.0) -> None:
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        if log.exists() and f'"{event}"' in log.read_text():
            return
        time.sleep(0.05)
    raise AssertionError(f"the log never said {event}")
