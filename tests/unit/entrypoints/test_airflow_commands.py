"""``airflow trigger`` and ``airflow status`` against a server that answers as Airflow's API does."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from entrypoints.cli.__main__ import main

RUN = {
    "dag_run_id": "manual__1",
    "state": "queued",
    "start_date": "2026-11-24T10:00:00Z",
    "end_date": None,
    "run_type": "manual",
}
CRM = {"dag_id": "crm", "is_paused": False, "timetable_summary": "@hourly"}
DAGS = {"dags": [CRM], "total_entries": 1}
POOLS = {"pools": [{"name": "default_pool"}, {"name": "crm_file"}], "total_entries": 2}


def _task(name: str, state: str | None, *, seconds: float | None = None, since: str | None = None) -> dict[str, Any]:
    attempts = 0 if state is None else 1
    facts = {"task_id": name, "state": state, "try_number": attempts, "duration": seconds, "start_date": since}
    return {**facts, "map_index": -1, "rendered_map_index": None}


class Api:
    """Answers of Airflow by method and path, and every request that came; a list gives one answer after another."""

    def __init__(self) -> None:
        self.answers: dict[str, Any] = {
            "POST /auth/token": {"access_token": "a-token-canary"},
            "GET /api/v2/dags": DAGS,
            "GET /api/v2/dags/crm": CRM,
            "GET /api/v2/dags/crm/tasks": {"tasks": [{"pool": "crm_file"}, {"pool": "default_pool"}]},
            "GET /api/v2/pools": POOLS,
            "POST /api/v2/pools": {},
            "POST /api/v2/dags/crm/dagRuns": RUN,
            "GET /api/v2/dags/crm/dagRuns": {"dag_runs": [RUN]},
            "GET /api/v2/dags/crm/dagRuns/manual__1": RUN,
            "GET /api/v2/dags/crm/dagRuns/manual__1/taskInstances": {
                "task_instances": [
                    {**_task("load", "failed", seconds=1.5, since="2026"), "map_index": 1, "rendered_map_index": "crm"},
                    _task("decide", "success", seconds=0.5, since="2025"),
                    _task("check", None),
                ],
                "total_entries": 3,
            },
        }
        self.requests: list[tuple[str, Any, str | None]] = []

    def answer(self, request: str, body: Any, token: str | None) -> tuple[int, Any]:
        self.requests.append((request, body, token))
        found = self.answers.get(request, (404, {"detail": "a-detail-canary"}))
        if isinstance(found, list):
            found = found.pop(0) if len(found) > 1 else found[0]
        return found if isinstance(found, tuple) else (200, found)


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Api]:
    api = Api()

    class Handler(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length)) if length else None
            request = f"{self.command} {self.path.partition('?')[0]}"
            status, content = api.answer(request, body, self.headers.get("Authorization"))
            self.send_response(status)
            self.end_headers()
            self.wfile.write(json.dumps(content).encode())

        do_GET = do_POST = _answer  # noqa: N815 - the names that the library looks for

        def log_message(self, *_: object) -> None:
            """Nothing."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    monkeypatch.setenv("AIRFLOW_BASE_URL", f"http://127.0.0.1:{server.server_port}/")
    monkeypatch.setenv("AIRFLOW_USERNAME", "admin")
    monkeypatch.setenv("AIRFLOW_PASSWORD", "a-password-canary")
    monkeypatch.delenv("AIRFLOW_TOKEN", raising=False)
    monkeypatch.setattr("entrypoints.cli.orchestration._POLL_S", 0.01)
    yield api
    server.shutdown()
    server.server_close()
    thread.join()


def url() -> str:
    import os

    return os.environ["AIRFLOW_BASE_URL"].rstrip("/")


def test_a_run_is_started_with_its_params(api: Api, capsys: pytest.CaptureFixture[str]) -> None:
    window = ["--window", "2026-01-31", "2026-02-01T12:00:00"]
    status = main(["airflow", "trigger", "crm", "--resync", "people", "--full-refresh", *window, "--json"])
    told = json.loads(capsys.readouterr().out)
    assert status == 0
    assert (told["run"], told["state"], told["url"]) == ("manual__1", "queued", f"{url()}/dags/crm/runs/manual__1")
    conf = {
        "full_refresh": True,
        "resync": ["people"],
        "window_from": "2026-01-31T00:00:00+00:00",
        "window_to": "2026-02-01T12:00:00+00:00",
    }
    signing_in, starting = [request for request in api.requests if request[0].startswith("POST")]
    assert signing_in == ("POST /auth/token", {"username": "admin", "password": "a-password-canary"}, None)
    run_id = starting[1].pop("dag_run_id")
    assert run_id.startswith("manual__")
    assert starting == ("POST /api/v2/dags/crm/dagRuns", {"logical_date": None, "conf": conf}, "Bearer a-token-canary")


@pytest.mark.parametrize(
    ("request_", "answer", "message"),
    [
        ("GET /api/v2/dags/crm", {**CRM, "is_paused": True}, "its DAG is paused, so that a run would not start"),
        (
            "GET /api/v2/pools",
            {"pools": POOLS["pools"][:1], "total_entries": 1},
            "there is no pool called crm_file, so that a run would not start\n"
            "Make it: python -m entrypoints.cli airflow pools crm\n",
        ),
    ],
)
def test_a_run_that_would_never_start_is_refused(
    api: Api, capsys: pytest.CaptureFixture[str], request_: str, answer: dict[str, Any], message: str
) -> None:
    api.answers[request_] = answer
    assert main(["airflow", "trigger", "crm"]) == 2
    assert f"error: pipeline crm: {message}" in capsys.readouterr().err
    assert not any("dagRuns" in request for request, _, _ in api.requests)


def test_pools_that_are_missing_are_made(api: Api, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["airflow", "pools", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told == {"airflow_url": url(), "pools": [{"pool": "crm_file", "made": False, "pipelines": ["crm"]}]}
    api.answers["GET /api/v2/pools"] = {"pools": POOLS["pools"][:1], "total_entries": 1}
    assert main(["airflow", "pools", "crm", "--slots", "2"]) == 0
    assert capsys.readouterr().out == "pool      state  pipelines\ncrm_file  made   crm\n"
    [made] = [body for request, body, _ in api.requests if request == "POST /api/v2/pools"]
    description = "Tasks that open the warehouse of crm"
    assert made == {"name": "crm_file", "slots": 2, "description": description, "include_deferred": False}


def test_more_pipelines_than_airflow_gives_at_once_are_all_shown(api: Api, capsys: pytest.CaptureFixture[str]) -> None:
    others = {"dags": [{**CRM, "dag_id": "hr"}], "total_entries": 2}
    api.answers |= {
        "GET /api/v2/dags": [{**DAGS, "total_entries": 2}, others],
        "GET /api/v2/dags/hr/tasks": {"tasks": []},
        "GET /api/v2/dags/hr/dagRuns": {"dag_runs": []},
    }
    assert main(["airflow", "status", "--json"]) == 0
    assert [told["pipeline"] for told in json.loads(capsys.readouterr().out)["pipelines"]] == ["crm", "hr"]


def test_waiting_ends_with_the_run_whatever_airflow_does_meanwhile(
    api: Api, capsys: pytest.CaptureFixture[str]
) -> None:
    run = "GET /api/v2/dags/crm/dagRuns/manual__1"
    api.answers[run] = [RUN, (503, {}), {**RUN, "state": "running"}, {**RUN, "state": "success"}]
    assert main(["airflow", "trigger", "crm", "--wait"]) == 0
    assert capsys.readouterr().out == (
        "task         state    attempts  seconds\n"
        "decide       success         1      0.5\n"
        "load of crm  failed          1      1.5\n"
        "check                        0\n"
        "crm: run manual__1 success\n"
        f"Airflow: {url()}/dags/crm/runs/manual__1\n"
    )


def test_a_run_that_failed_is_a_failure_and_says_where(api: Api, capsys: pytest.CaptureFixture[str]) -> None:
    api.answers["GET /api/v2/dags/crm/dagRuns/manual__1"] = {**RUN, "state": "failed"}
    assert main(["airflow", "trigger", "crm", "--wait"]) == 1
    assert capsys.readouterr().err == (
        f"error: pipeline crm: the run failed in load of crm\nSee {url()}/dags/crm/runs/manual__1.\n"
    )


def test_a_run_that_does_not_end_in_time_goes_on(api: Api, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["airflow", "trigger", "crm", "--wait", "--timeout", "0.05"]) == 3
    assert "the run has not ended within 0.05 s; it goes on" in capsys.readouterr().err


def test_status_shows_each_pipeline_and_its_latest_run(api: Api, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["airflow", "status", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {
        "airflow_url": url(),
        "pipelines": [
            {
                "pipeline": "crm",
                "paused": False,
                "schedule": "@hourly",
                "url": f"{url()}/dags/crm",
                "missing_pools": [],
                "latest": {
                    "run": "manual__1",
                    "state": "queued",
                    "started_at": "2026-11-24T10:00:00Z",
                    "ended_at": None,
                    "started_by": "manual",
                },
            }
        ],
    }
    assert main(["airflow", "status", "crm"]) == 0
    assert capsys.readouterr().out == (
        "pipeline  schedule  latest run  state   started              ended\n"
        "crm       @hourly   manual__1   queued  2026-11-24 10:00:00\n"
    )


@pytest.mark.parametrize(
    ("request_", "status", "exit_status", "message"),
    [
        ("POST /auth/token", 401, 2, "Airflow does not let us (401)"),
        ("POST /api/v2/dags/crm/dagRuns", 404, 2, "Airflow has no such DAG or run"),
        ("POST /api/v2/dags/crm/dagRuns", 400, 2, "Airflow refused what was asked for (400)"),
        ("POST /api/v2/dags/crm/dagRuns", 500, 3, "Airflow could not answer (500)"),
    ],
)
def test_what_airflow_refuses_is_told_without_its_words(
    api: Api, capsys: pytest.CaptureFixture[str], request_: str, status: int, exit_status: int, message: str
) -> None:
    api.answers[request_] = (status, {"detail": "a-detail-canary"})
    assert main(["airflow", "trigger", "crm"]) == exit_status
    told = capsys.readouterr().err
    assert f"error: {url()}: {message}\n" in told
    assert "canary" not in told


def test_a_pipeline_that_airflow_does_not_have_is_rejected(api: Api, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["airflow", "status", "shop"]) == 2
    assert capsys.readouterr().err == f"error: {url()}: Airflow has no pipeline called shop\nIt has: crm.\n"


@pytest.mark.parametrize(
    ("variable", "value", "exit_status", "message"),
    [
        ("AIRFLOW_BASE_URL", "", 2, "it is not said where Airflow is"),
        ("AIRFLOW_BASE_URL", "file:///etc", 2, "AIRFLOW_BASE_URL is no address"),
        ("AIRFLOW_BASE_URL", "http://127.0.0.1:1", 3, "Airflow did not answer"),
        ("AIRFLOW_PASSWORD", "", 2, "there is nothing to sign in to Airflow with"),
    ],
)
def test_where_airflow_is_and_how_to_sign_in_has_to_be_said(
    api: Api,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    variable: str,
    value: str,
    exit_status: int,
    message: str,
) -> None:
    monkeypatch.setenv(variable, value)
    assert main(["airflow", "status"]) == exit_status
    assert message in capsys.readouterr().err
