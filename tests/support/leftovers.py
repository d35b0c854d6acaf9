"""Processes that a program may leave behind: to find them, and to end them where a test has failed."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress

import psutil


def names_of(processes: Iterable[psutil.Process]) -> list[str]:
    """The names of those that run; a zombie does not."""
    found = []
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            if process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process.name())
    return found


def left_of(processes: list[psutil.Process], *, patience_s: float = 60.0) -> list[str]:
    """The names of those that still run after so long."""
    deadline = time.monotonic() + patience_s
    while (left := names_of(processes)) and time.monotonic() < deadline:
        time.sleep(0.1)
    return left


@contextmanager
def ended_on_failure(leader: subprocess.Popen[str]) -> Iterator[None]:
    """Kill the process group that a program leads if the block fails."""
    try:
        yield
    except BaseException:
        with suppress(ProcessLookupError):
            os.killpg(leader.pid, signal.SIGKILL)
        leader.wait()
        raise
