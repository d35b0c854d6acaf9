"""Starts, asks and stops the child process that dbt runs in.

What is asked and what the answers mean is ``transformer``'s; the other end is ``worker``.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs

import adapters

_EXIT_TIMEOUT_S = 2.0


class WorkerGone(Exception):
    """The child ended, or did not answer in time, before it had answered."""


@attrs.define
class Worker:
    """A running child. Requests are answered in order; one thread asks, any thread may ``stop``."""

    _process: subprocess.Popen[str]
    _answers: queue.Queue[dict[str, Any] | None] = attrs.field(factory=queue.Queue)
    _last_id: int = 0

    @classmethod
    def start(
        cls, setup: Mapping[str, object], environment: Mapping[str, str], *, python: Path | None = None
    ) -> Worker:
        """Start the child and tell it its setup; it does the rest by itself. ``python`` is the interpreter to run it
        by, if not this one: all that it needs there is dbt.
        """
        # Found wherever this package was found: a checkout, a wheel, or a test's path.
        paths = [str(Path(adapters.__file__).resolve().parents[1]), os.environ.get("PYTHONPATH", "")]
        process = subprocess.Popen(  # noqa: S603 - this interpreter, or the one that the pipeline file names
            [str(python or sys.executable), "-m", "adapters.transform.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            encoding="utf-8",
            env={**os.environ, **environment, "PYTHONPATH": os.pathsep.join(filter(None, paths))},
            start_new_session=True,  # Ctrl-C is the parent's to handle
        )
        worker = cls(process)
        threading.Thread(target=worker._listen, name="dbt-answers", daemon=True).start()
        worker._write(setup)
        return worker

    @property
    def pid(self) -> int:
        """The child's process id."""
        return self._process.pid

    @property
    def is_alive(self) -> bool:
        """Whether the child still runs."""
        return self._process.poll() is None

    def send(self, request: Mapping[str, object]) -> int:
        """Ask without waiting; gives the request's id."""
        self._last_id += 1
        self._write({**request, "id": self._last_id})
        return self._last_id

    def answer(self, request_id: int, *, timeout_s: float) -> dict[str, Any]:
        """Wait for the answer to a request, passing over those to earlier ones. Raises ``WorkerGone``."""
        while True:
            try:
                answer = self._answers.get(timeout=timeout_s)
            except queue.Empty:
                raise WorkerGone from None
            if answer is None:
                self._answers.put(None)
                raise WorkerGone
            if answer["id"] == request_id:
                return answer

    def stop(self) -> None:
        """End the child at once, whatever it is doing. Safe to call twice and from any thread."""
        stdin = self._process.stdin
        if stdin is not None and not stdin.closed:
            with contextlib.suppress(OSError):  # it may be gone already
                stdin.close()
        try:
            self._process.wait(_EXIT_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _write(self, line: Mapping[str, object]) -> None:
        stdin = self._process.stdin
        if stdin is None or stdin.closed:
            return
        with contextlib.suppress(OSError, ValueError):  # it may be gone: the answer will say so
            stdin.write(json.dumps(dict(line)) + "\n")
            stdin.flush()

    def _listen(self) -> None:
        if self._process.stdout is not None:
            for line in self._process.stdout:
                self._answers.put(json.loads(line))
        self._answers.put(None)
