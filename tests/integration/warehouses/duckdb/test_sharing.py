"""The database file between processes: who holds it, who waits, and what a killed writer leaves (G1, G6)."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import attrs
import pytest

from adapters.warehouses.duckdb import build, connection
from adapters.warehouses.duckdb.warehouse import DuckDBWarehouse
from pipeline.domain.errors import WarehouseUnreachable
from pipeline.domain.loading import Migration
from pipeline.domain.planning import plan_steps
from tests.support.child import environment
from tests.support.duckdb_file import AT, BEGUN, TARGET, changes, following, load, warehouse_at

#: Opens the file as another program would, says so, and holds it until its input ends.
HOLDER = """
import sys, time, duckdb
deadline = time.monotonic() + 120
while True:
    try:
        connection = duckdb.connect(sys.argv[1], read_only=sys.argv[2] == "reader")
        break
    except duckdb.IOException:  # held between loads that may follow each other at once
        if time.monotonic() > deadline:
            raise
        time.sleep(0.01)
print("open", flush=True)
sys.stdin.read()
connection.close()
"""

#: Loads a row and says so before it would commit, then waits to be killed.
VICTIM = """
import sys
from tests.support.duckdb_file import BEGUN, TARGET, changes, following, warehouse_at
from pipeline.domain.planning import plan_steps
with warehouse_at(sys.argv[1]).load(BEGUN, following(BEGUN)) as load:
    for step in plan_steps(TARGET, changes(1, "from the dead")):
        load.apply(step)
    print("applied", flush=True)
    sys.stdin.read()
"""


@contextmanager
def process(program: str, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """A Python process that has said its first word."""
    with subprocess.Popen(
        [sys.executable, "-c", program, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment({}),
    ) as child:
        try:
            assert child.stdout is not None
            assert child.stdout.readline(), "it ended before it said a word"
            yield child
        finally:
            child.kill()


def test_the_file_is_free_between_calls_and_readers_see_commits(warehouse: DuckDBWarehouse, path: Path) -> None:
    load(warehouse, BEGUN, "a", "b")
    with process(HOLDER, str(path), "reader") as child:
        assert child.poll() is None
        assert warehouse.current(TARGET).to_pylist() == [{"id": 0, "note": "a"}, {"id": 1, "note": "b"}]


@pytest.mark.parametrize("kind", ["reader", "writer"])
def test_a_load_waits_until_another_program_lets_the_file_go(warehouse: DuckDBWarehouse, path: Path, kind: str) -> None:
    with process(HOLDER, str(path), kind) as child:
        done = threading.Thread(target=load, args=(warehouse, BEGUN, "a"))
        done.start()
        done.join(0.3)
        waited = done.is_alive()
        assert child.stdin is not None
        child.stdin.close()
        done.join(120)
    assert waited
    assert warehouse.current(TARGET).to_pylist() == [{"id": 0, "note": "a"}]


def test_who_holds_the_file_too_long_is_named(warehouse: DuckDBWarehouse, path: Path) -> None:
    with process(HOLDER, str(path), "writer") as child, pytest.raises(WarehouseUnreachable) as caught:
        warehouse_at(path, wait_s=0.1).checkpoint("shop")
    assert f"(process {child.pid})" in str(caught.value)
    assert str(caught.value).startswith(f"duckdb {path}: the file is held by ")
    assert str(caught.value).endswith("for more than 0.1 s Close the program that has it open, then start again.")


def test_nothing_of_a_writer_killed_before_its_commit_is_seen(warehouse: DuckDBWarehouse, path: Path) -> None:
    with process(VICTIM, str(path)) as victim:
        victim.send_signal(signal.SIGKILL)
        victim.wait()
        assert warehouse.checkpoint("shop") == BEGUN
        assert (warehouse.current(TARGET).num_rows, warehouse.changelog(TARGET).num_rows) == (0, 0)
        load(warehouse, BEGUN, "a")
    assert warehouse.current(TARGET).to_pylist() == [{"id": 0, "note": "a"}]


def test_a_load_that_takes_long_keeps_no_load_of_another_group_waiting(warehouse: DuckDBWarehouse) -> None:
    other = attrs.evolve(BEGUN, group="other")
    warehouse.begin(other)
    elsewhere = attrs.evolve(TARGET, stream="rates", table="fx__rates")
    warehouse.migrate(other, [Migration(elsewhere)])
    with warehouse.load(BEGUN, following(BEGUN)) as long:
        for step in plan_steps(TARGET, changes(1, "a")):
            long.apply(step)
        with ThreadPoolExecutor() as pool:
            assert pool.submit(load, warehouse, other, "b", target=elsewhere).result(120) == following(other)
        assert warehouse.current(elsewhere).num_rows == 1
        long.commit({})
    assert warehouse.current(TARGET).num_rows == 1


@pytest.mark.parametrize("groups", [("shop",), ("shop", "fx", "prices")])
def test_others_get_the_file_between_loads_that_follow_each_other_at_once(
    tmp_path: Path, groups: tuple[str, ...]
) -> None:
    _let_others_in(tmp_path, groups, load_s=0.05)


def test_others_get_the_file_though_loads_take_longer_than_new_ones_wait_for_them_at_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "TURN_S", 0.2)
    monkeypatch.setattr(connection, "YIELD_S", 0.1)
    _let_others_in(tmp_path, ("shop", "fx"), load_s=1.0)


def _let_others_in(tmp_path: Path, groups: tuple[str, ...], *, load_s: float) -> None:
    """Load until another process has had the file, which it tries to get for two minutes; each group begins while the
    one before is half through a load.
    """
    path = tmp_path / "warehouse.duckdb"
    warehouse = build("w", {"path": str(path)})
    warehouse.setup("shop")
    script = """
import sys, time, duckdb
deadline = time.monotonic() + 120
while time.monotonic() < deadline:
    try:
        duckdb.connect(sys.argv[1]).close()
    except duckdb.IOException:
        time.sleep(0.005)
    else:
        sys.exit(0)
sys.exit(1)
"""

    def fill(group: str) -> None:
        checkpoint = attrs.evolve(BEGUN, group=group)
        time.sleep(groups.index(group) * load_s / 2)
        warehouse.begin(checkpoint)
        while other.poll() is None:
            after = checkpoint.next(checkpoint.position, at=AT)
            with warehouse.load(checkpoint, after) as opened:
                time.sleep(load_s)
                opened.commit({})
            checkpoint = after

    other = subprocess.Popen([sys.executable, "-c", script, str(path)])
    with ThreadPoolExecutor() as pool:
        list(pool.map(fill, groups))
    warehouse.close()
    assert other.returncode == 0
