"""The demo as a person runs it: to its end, and interrupted at any moment."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tests.support.leftovers import ended_on_failure, left_of, names_of

ROOT = Path(__file__).parents[3]
EXIT_ABORTED = 130

pytestmark = [pytest.mark.integration, pytest.mark.slow(seconds=150)]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "dbt").symlink_to(ROOT / "dbt")
    return tmp_path


def environment(home: Path) -> dict[str, str]:
    kept = {name: text for name, text in os.environ.items() if not name.startswith(("PIPELINE_", "SHOP_"))}
    return {**kept, "PYTHONPATH": str(ROOT), "PIPELINE_HOME": str(home), "PYTHONUNBUFFERED": "1"}


def cli(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "entrypoints.cli", *arguments],
        cwd=home,
        env=environment(home),
        capture_output=True,
        text=True,
        check=False,
        timeout=280,
    )


def test_it_ends_with_source_and_warehouse_equal_and_marts_that_can_be_queried(home: Path) -> None:
    done = cli(home, "demo", "--seconds", "2", "--rate", "50", "--json")
    assert done.returncode == 0, done.stderr[-2000:]
    result = json.loads(done.stdout)
    assert result["verify"]["equal"] is True
    assert {stream["stream"]: stream["equal"] for stream in result["verify"]["streams"]} == dict.fromkeys(
        ("customers", "addresses", "products", "orders", "order_items", "payments", "rates", "prices"), True
    )
    assert result["transform"]["ok"] is True
    assert len(result["mart"]["rows"]) == 6
    # The source is gone now; what the demo says to try next works without it.
    status = json.loads(cli(home, "status", "shop", "--json").stdout)
    assert sorted(status["checkpoints"]) == ["fx__rates", "shop", "suppliers__prices"]
    assert {stream["phase"] for stream in status["streams"]} == {"streaming"}
    assert cli(home, "transform", "shop").returncode == 0


@pytest.mark.parametrize(
    "moment", ["PostgreSQL is up", "Consistent snapshot", "Streaming", "Marts by dbt", "Sources = warehouse"]
)
def test_an_interrupt_leaves_no_process_behind(home: Path, moment: str) -> None:
    demo = subprocess.Popen(
        [sys.executable, "-m", "entrypoints.cli", "demo", "--seconds", "2", "--rate", "50"],
        cwd=home,
        env=environment(home),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    with ended_on_failure(demo):
        assert demo.stdout is not None
        assert any(moment in line for line in demo.stdout), "the demo ended before"
        family = psutil.Process(demo.pid).children(recursive=True)
        assert any("postgres" in name for name in names_of(family))
        os.killpg(demo.pid, signal.SIGINT)  # as a terminal does
        _, errors = demo.communicate(timeout=120)
        assert demo.returncode == EXIT_ABORTED, errors[-2000:]
        assert "aborted" in errors
        assert "Traceback" not in errors
        assert left_of(family) == []
