"""A whole Airflow on this machine, for looking and for tests: loopback only, free ports, SQLite in a folder of its own.

It is ``airflow standalone`` with LocalExecutor. Which pipelines it runs is said by the environment it is given.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

from pipeline.domain.errors import Missing, PipelineError

_PR_SET_PDEATHSIG = 1
_USER = "admin"
_START_S = 300.0
_STOP_S = 30.0
_KILL_S = 5.0
_POLL_S = 0.25
_NO_SIGNAL = 0  # asks whether anybody is there
_PORTS = (
    "AIRFLOW__API__PORT",
    "AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT",
    "AIRFLOW__LOGGING__TRIGGER_LOG_SERVER_PORT",
    "AIRFLOW__SCHEDULER__SCHEDULER_HEALTH_CHECK_SERVER_PORT",
)


class LocalAirflow:
    """A running Airflow; use it as a context manager. ``folder`` takes its database and logs; ``environment`` is added
    to this process's.
    """

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self.folder = folder
        self.user = _USER
        self.password = secrets.token_urlsafe(12)
        self._ports = dict(zip(_PORTS, free_ports(len(_PORTS)), strict=True))
        self._environment = {**os.environ, **environment, **self._settings()}
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> LocalAirflow:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def url(self) -> str:
        """Where the UI and the REST API are."""
        return f"http://127.0.0.1:{self._ports['AIRFLOW__API__PORT']}"

    @property
    def environment(self) -> dict[str, str]:
        """The environment that its processes have; ``airflow`` commands in it work on this Airflow."""
        return dict(self._environment)

    @property
    def pid(self) -> int | None:
        """The process id of the parent of all its processes, None when stopped."""
        return self._process.pid if self._process and self._process.poll() is None else None

    def start(self) -> None:
        """Start all of it and wait until it schedules, triggers, parses and answers."""
        self.folder.mkdir(parents=True, exist_ok=True)
        passwords = self.folder / "passwords.json"
        passwords.write_text(json.dumps({self.user: self.password}))
        passwords.chmod(0o600)
        program = Path(sys.executable).with_name("airflow")
        if not program.exists():
            raise Missing(
                "Airflow is not installed", hint="Install it with: pip install 'realtime-data-pipeline[airflow]'"
            )
        with (self.folder / "standalone.log").open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 - Airflow's own program
                [str(program), "standalone"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.folder,
                env=self._environment,
                start_new_session=True,  # so that all its processes can be ended, whatever became of the first
                preexec_fn=_be_stoppable,
            )
        self._wait()

    def stop(self) -> None:
        """Stop all of it; nothing is left running. Safe to call twice."""
        process, self._process = self._process, None
        if process is None:
            return
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(_STOP_S)
        # What did not end by itself: tasks, and children of a component that was killed.
        for number in (signal.SIGTERM, signal.SIGKILL):
            if not _signal_group(process.pid, number):
                break
            deadline = time.monotonic() + _KILL_S
            while time.monotonic() < deadline and _signal_group(process.pid, _NO_SIGNAL):
                process.poll()
                time.sleep(0.05)

    def _settings(self) -> dict[str, str]:
        paths = [str(Path(sys.executable).parent), os.environ.get("PATH", "")]
        return {
            "PATH": os.pathsep.join(filter(None, paths)),  # it starts its parts by name
            "AIRFLOW_HOME": str(self.folder),
            "AIRFLOW_BASE_URL": self.url,
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{self.folder}/airflow.db",
            "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
            "AIRFLOW__CORE__PARALLELISM": "4",
            "AIRFLOW__CORE__DAGS_FOLDER": str(Path(__file__).parent),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": f"{self.user}:admin",
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(self.folder / "passwords.json"),
            "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{self.url}/execution/",
            "AIRFLOW__API__BASE_URL": self.url,
            "AIRFLOW__API__HOST": "127.0.0.1",
            "AIRFLOW__API__WORKERS": "1",
            "AIRFLOW__API__SECRET_KEY": secrets.token_urlsafe(32),
            "AIRFLOW__API_AUTH__JWT_SECRET": secrets.token_urlsafe(48),
            "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "10",
            "AIRFLOW__DAG_PROCESSOR__PARSING_PROCESSES": "1",
            "AIRFLOW__SCHEDULER__ENABLE_HEALTH_CHECK": "False",
            **{name: str(port) for name, port in self._ports.items()},
        }

    def _wait(self) -> None:
        deadline = time.monotonic() + _START_S
        while time.monotonic() < deadline and self.pid is not None:
            if self._is_healthy():
                return
            time.sleep(_POLL_S)
        self.stop()
        log = self.folder / "standalone.log"
        raise PipelineError("Airflow did not start", where=str(log), hint="Read that log.")

    def _is_healthy(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/api/v2/monitor/health", timeout=5) as answer:  # noqa: S310 - loopback
                parts = json.load(answer)
        except (OSError, ValueError):
            return False
        return all(part["status"] == "healthy" for part in parts.values())


def free_ports(count: int) -> list[int]:
    """Different ports of the loopback that nobody listens on."""
    with contextlib.ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [int(probe.getsockname()[1]) for probe in probes]


def _be_stoppable() -> None:
    """Heed Ctrl-C, which what runs in the background ignores, and be stopped as by it when the process that started us
    is gone, also if it never got to know us.
    """
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGINT)


def _signal_group(group: int, number: int) -> bool:
    """Send a signal to our own group of processes; whether any was left."""
    try:
        os.killpg(group, number)
    except ProcessLookupError:
        return False
    return True
