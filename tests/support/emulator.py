"""An emulator of Snowflake's service in a process of its own, which the real connector and dbt speak to over HTTP.

It is fakesnow's server with the gaps mended that our SQL meets (``emulator_server``). What only a real account can
prove is listed in the README.
"""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.request
import uuid
from collections.abc import Mapping
from types import TracebackType
from typing import Any

import attrs

from tests.support.child import ROOT, environment


@attrs.frozen
class Seen:
    """A statement that arrived: its session, its text without leading comment, and the error number it ended with."""

    session: int
    text: str
    error: int | None = None


class Emulator:
    """A running emulator; use it as a context manager, one for a whole test session."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None
        self._port = 0

    def __enter__(self) -> Emulator:
        command = [sys.executable, "-m", "tests.support.emulator_server"]
        self._process = subprocess.Popen(
            command,
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment(),
            start_new_session=True,  # Ctrl-C is for those who use it, and they may need it to the end
        )
        assert self._process.stdout is not None
        self._port = int(self._process.stdout.readline())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(timeout=20)

    def options(self, database: str) -> dict[str, object]:
        """The options of a warehouse in a database of the emulator, as a pipeline file would have them."""
        return {
            "account": "emulated",
            "user": "pipeline",
            "password": "emulated",
            "host": "127.0.0.1",
            "port": self._port,
            "protocol": "http",
            "database": database,
        }

    @staticmethod
    def new_database() -> str:
        """A name for a fresh database; it is made by the first session that names it."""
        return f"TEST_{uuid.uuid4().hex[:12].upper()}"

    def seen(self, database: str) -> list[Seen]:
        """Every statement that arrived from sessions of a database, in order."""
        return [Seen(**item) for item in self._ask("seen", {"database": database})]

    def fault(self, database: str, *, pattern: str, kind: str, skip: int = 0) -> None:
        """Let one statement of a database whose text matches ``pattern`` go wrong, after ``skip`` that do not; the
        kinds are those of ``emulator_server.FAULTS``.
        """
        self._ask("fault", {"database": database, "pattern": pattern, "kind": kind, "skip": skip})

    def drop(self, database: str) -> None:
        """Forget a database and its sessions, so that a long test session stays small."""
        self._ask("drop", {"database": database})

    def _ask(self, what: str, body: Mapping[str, object]) -> Any:
        request = urllib.request.Request(
            f"http://127.0.0.1:{self._port}/emulator/{what}", data=json.dumps(body).encode()
        )
        with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310 - see above
            return json.load(answer)
