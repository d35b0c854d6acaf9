"""Airflow in one process of its own, which migrates its database and then runs DAGs and programs as it is told.

Starting Airflow takes seconds of CPU: the tests of a module share one. What is asked goes in as JSON lines, what comes
out is everything that is logged and, behind a mark, the outcome.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from queue import Queue
from types import TracebackType
from typing import Any

_MARK = "OUTCOME "
_PATIENCE_S = 240.0


class DagRunner:
    """The process, from this side; a context manager."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.dag_runner"],
            env=dict(environment),
            cwd=environment["AIRFLOW_HOME"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._lines: Queue[str | None] = Queue()
        threading.Thread(target=self._listen, daemon=True).start()

    def __enter__(self) -> DagRunner:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # It keeps nothing that anybody needs, and Airflow takes seconds to leave.
        self._process.kill()
        self._process.wait()

    def run(
        self, dag: str, environment: Mapping[str, str] | None = None, **params: object
    ) -> tuple[dict[str, Any], str]:
        """Run a DAG with these params; its outcome, and everything that was logged. ``environment`` is added to the
        process's meanwhile.
        """
        return self._ask({"run": dag, "params": params, "environment": dict(environment or {})})

    def call(
        self, function: Callable[..., object], environment: Mapping[str, str] | None = None, **arguments: object
    ) -> tuple[Any, str]:
        """Call a function of a module there; what it gives, and everything that was logged."""
        name = f"{function.__module__}:{function.__name__}"
        return self._ask({"call": name, "arguments": arguments, "environment": dict(environment or {})})

    def _ask(self, request: Mapping[str, object]) -> tuple[Any, str]:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        said: list[str] = []
        while (line := self._lines.get(timeout=_PATIENCE_S)) is not None:
            if line.startswith(_MARK):
                return json.loads(line.removeprefix(_MARK)), "".join(said)
            said.append(line)
        raise AssertionError("".join(said)[-4000:])

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._lines.put(line)
        self._lines.put(None)


def main() -> None:
    """Do as told until standard input ends."""
    from airflow.utils.db import initdb

    initdb()  # of a database that was copied from one that is migrated, a look
    for line in sys.stdin:
        request = json.loads(line)
        before = dict(os.environ)
        os.environ.update(request["environment"])
        try:
            outcome = (
                _run(request["run"], request["params"])
                if "run" in request
                else _named(request["call"])(**request["arguments"])
            )
        finally:
            os.environ.clear()
            os.environ.update(before)
        sys.stderr.flush()
        sys.stdout.write(f"\n{_MARK}{json.dumps(outcome)}\n")
        sys.stdout.flush()


def _named(name: str) -> Callable[..., object]:
    import importlib

    module, _, function = name.partition(":")
    found: Callable[..., object] = getattr(importlib.import_module(module), function)
    return found


def _run(name: str, params: Mapping[str, object]) -> dict[str, object]:
    """Run a DAG: its state, those of its tasks (of mapped ones by what they are mapped to: ``load shop``), the plan
    that it told, and its asset events with what they say.
    """
    from airflow.models.asset import AssetEvent
    from airflow.utils.session import create_session

    from entrypoints.airflow.factory import build_dags

    run = build_dags()[name].test(run_conf=dict(params))
    tasks = {f"{ti.task_id} {ti.rendered_map_index or ''}".strip(): ti for ti in run.get_task_instances()}
    with create_session() as session:
        events = session.query(AssetEvent).filter_by(source_run_id=run.run_id).all()
        told = {event.name: dict(event.extra) for event in events}
    return {
        "state": str(run.state),
        "tasks": {task_id: str(ti.state) for task_id, ti in tasks.items()},
        "plan": tasks["decide"].xcom_pull(task_ids="decide", key="plan"),
        "events": told,
    }


if __name__ == "__main__":
    main()
