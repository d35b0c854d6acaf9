"""The environment that make builds: interrupted, it leaves nothing behind, and no traceback."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.slow


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    shutil.copy(ROOT / "Makefile", tmp_path)
    # Without a writer nobody gets to its end, so that pip waits there.
    os.mkfifo(tmp_path / "requirements.txt")
    return tmp_path


def has_environment(checkout: Path, _: ExitStack) -> bool:
    return (checkout / ".venv").exists()


def is_installing(checkout: Path, held: ExitStack) -> bool:
    try:
        pipe = os.open(checkout / "requirements.txt", os.O_WRONLY | os.O_NONBLOCK)
    except OSError as error:
        if error.errno == errno.ENXIO:  # nobody reads it yet
            return False
        raise
    held.callback(os.close, pipe)
    return True


def _environment() -> dict[str, str]:
    """Without what a make that runs the tests hands down to one that it starts."""
    return {name: text for name, text in os.environ.items() if not name.startswith(("MAKE", "MFLAGS", "WITH_UV"))}


def _heeding_interrupts() -> None:
    """A run in the background ignores SIGINT, and so would all that it starts."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.mark.parametrize("moment", [has_environment, is_installing])
def test_an_interrupt_leaves_neither_a_traceback_nor_half_an_environment(
    checkout: Path, moment: Callable[[Path, ExitStack], bool]
) -> None:
    make = subprocess.Popen(
        ["make", "demo", f"PYTHON={sys.executable}"],
        cwd=checkout,
        env=_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=_heeding_interrupts,
    )
    deadline = time.monotonic() + 60
    with ExitStack() as held:
        held.callback(lambda: make.poll() is None and os.killpg(make.pid, signal.SIGKILL))
        while not moment(checkout, held):
            assert make.poll() is None, make.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.05)
        os.killpg(make.pid, signal.SIGINT)  # as a terminal does
        _, errors = make.communicate(timeout=30)
    assert make.returncode != 0
    assert [line for line in errors.splitlines() if not line.startswith("make: ***")] == []
    assert not (checkout / ".venv").exists()


def test_what_a_step_says_is_told_when_it_fails(checkout: Path) -> None:
    (checkout / "requirements.txt").unlink()
    (checkout / "requirements.txt").write_text("./nowhere\n")
    done = subprocess.run(
        ["make", "demo", f"PYTHON={sys.executable}"],
        cwd=checkout,
        env=_environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    assert "nowhere" in done.stderr
    assert (checkout / ".venv/bin/python").exists()
    assert not (checkout / ".venv/.product").exists()
