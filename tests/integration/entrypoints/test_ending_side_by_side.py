"""How a process ends that is told to while its main thread waits for work in other threads."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.child import environment

pytestmark = pytest.mark.integration

#: One group is in the midst of a statement, the other has nothing to do; as in a command that aborts at once.
WAITS = """
import sys
from pathlib import Path
from adapters.warehouses.duckdb.connection import Database
from entrypoints.cli.stopping import Aborted, stopping
from pipeline.application.crew import work_side_by_side

database = Database(Path(sys.argv[1]), settings={}, wait_s=1)

def load():
    with database.hold() as cursor:
        cursor.execute("create table t as select range i from range(10)")
        print("loading", flush=True)
        cursor.execute("create table u as select md5(range::varchar) i from range(1_500_000)")
    print("loaded", flush=True)

try:
    with stopping(graceful=False) as stop:
        work_side_by_side({"a": load, "b": lambda: None}, stop=stop)
except Aborted:
    print("aborted", flush=True)
    sys.exit(130)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_what_is_under_way_in_a_library_is_waited_for(tmp_path: Path, number: signal.Signals) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", WAITS, str(tmp_path / "warehouse.duckdb")],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(),
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "loading\n"
        process.send_signal(number)
        told, errors = process.communicate(timeout=120)
    assert (process.returncode, sorted(told.split())) == (130, ["aborted", "loaded"]), errors[-2000:]
