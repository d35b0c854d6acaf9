"""How a process ends that has just loaded into the file."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.child import environment

pytestmark = pytest.mark.integration

#: Leaves the file to be closed a moment later, and ends before. An interpreter that ends cuts off daemons; one that was
#: in DuckDB then aborts the whole process (SIGABRT) by chance, so that what is looked at is that the file was closed.
ENDS_AT_ONCE = """
import sys
from pathlib import Path
from adapters.warehouses.duckdb import connection

close = connection.Database._close
def told(database):
    close(database)
    print("closed", flush=True)

connection.LINGER_S = 3
connection.Database._close = told
with connection.Database(Path(sys.argv[1]), settings={}, wait_s=1).hold() as cursor:
    cursor.execute("create table t as select range i from range(1000)")
print("ends", flush=True)
"""


def test_a_process_that_ends_while_the_file_lingers_closes_it_first(tmp_path: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", ENDS_AT_ONCE, str(tmp_path / "warehouse.duckdb")],
        capture_output=True,
        text=True,
        env=environment(),
        check=False,
        timeout=120,
    )
    assert (ended.returncode, ended.stdout.split()) == (0, ["ends", "closed"])
