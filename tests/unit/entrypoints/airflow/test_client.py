"""The client of Airflow's REST API against a server that answers as Airflow does where it is busy."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import attrs
import pytest

from entrypoints.airflow import client
from entrypoints.airflow.client import AirflowBusy, AirflowClient, AirflowRefused


@attrs.define
class Airflow:
    """What it is to answer, in order, and what it was asked; it makes a run also where the answer says 500."""

    url: str = ""
    statuses: list[int] = attrs.field(factory=list)
    asked: list[str] = attrs.field(factory=list)
    runs: list[str] = attrs.field(factory=list)


@pytest.fixture
def airflow(monkeypatch: pytest.MonkeyPatch) -> Iterator[Airflow]:
    monkeypatch.setattr(client, "_DELAYS_S", (0.0, 0.0, 0.0))
    known = Airflow()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            run_id = body.get("dag_run_id", "")
            is_there = run_id in known.runs
            known.runs += [] if is_there or known.statuses[:1] == [503] else [run_id]
            self.answer(409 if is_there else 200, {"dag_run_id": run_id})

        def do_GET(self) -> None:
            self.answer(200, {"state": "success"})

        def answer(self, status: int, content: dict[str, str]) -> None:
            known.asked.append(f"{self.command} {self.path}")
            self.send_response(known.statuses.pop(0) if known.statuses else status)
            text = json.dumps(content).encode()
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *_: object) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    known.url = f"http://127.0.0.1:{server.server_address[1]}"
    yield known
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize("statuses", [[], [500], [503, 500], [429, 503, 500]])
def test_a_run_is_started_once_however_often_it_is_asked_for(airflow: Airflow, statuses: list[int]) -> None:
    airflow.statuses = list(statuses)
    run_id = AirflowClient(airflow.url, token="t").trigger("shop", {})
    assert airflow.runs == [run_id]


def test_a_question_is_asked_again_while_airflow_is_busy(airflow: Airflow) -> None:
    airflow.statuses = [500, 503]
    assert AirflowClient(airflow.url, token="t").run("shop", "r")["state"] == "success"
    assert len(airflow.asked) == 3


def test_airflow_that_stays_busy_is_an_error_that_says_so(airflow: Airflow) -> None:
    airflow.statuses = [500] * 9
    with pytest.raises(AirflowBusy, match=r"could not answer \(500\)") as caught:
        AirflowClient(airflow.url, token="t").run("shop", "r")
    assert caught.value.exit_code == 3
    assert len(airflow.asked) == 4


def test_what_airflow_refuses_is_not_asked_again(airflow: Airflow) -> None:
    airflow.statuses = [403]
    with pytest.raises(AirflowRefused, match="does not let us"):
        AirflowClient(airflow.url, token="t").trigger("shop", {})
    assert len(airflow.asked) == 1
