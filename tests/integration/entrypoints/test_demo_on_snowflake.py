"""The demo into an emulated Snowflake as a person runs it: to its end, and interrupted."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tests.support.child import ROOT, environment
from tests.support.leftovers import ended_on_failure, left_of

EXIT_ABORTED = 130

pytestmark = [pytest.mark.integration, pytest.mark.slow(seconds=110)]


def start(home: Path, *arguments: str) -> subprocess.Popen[str]:
    (home / "dbt").symlink_to(ROOT / "dbt")
    kept = {
        name: text for name, text in os.environ.items() if not name.startswith(("PIPELINE_", "SHOP_", "SNOWFLAKE_"))
    }
    return subprocess.Popen(
        [sys.executable, "-m", "tests.support.snowflake_demo", *arguments],
        cwd=home,
        env=environment({**kept, "PIPELINE_HOME": str(home), "PYTHONUNBUFFERED": "1"}),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def test_it_ends_with_source_and_warehouse_equal_and_a_mart(tmp_path: Path) -> None:
    demo = start(tmp_path, "--seconds", "2", "--rate", "20", "--json")
    with ended_on_failure(demo):
        out, err = demo.communicate(timeout=280)
    assert demo.returncode == 0, err[-2000:]
    result = json.loads(out)
    assert {stream["stream"]: stream["equal"] for stream in result["verify"]["streams"]} == dict.fromkeys(
        ("customers", "addresses", "products", "orders", "order_items", "payments", "rates", "prices"), True
    )
    assert result["transform"]["ok"] is True
    assert len(result["mart"]["rows"]) == 6


def test_an_interrupt_leaves_no_process(tmp_path: Path) -> None:
    demo = start(tmp_path)
    with ended_on_failure(demo):
        assert demo.stdout is not None
        while "Streaming" not in demo.stdout.readline():
            assert demo.poll() is None
        family = psutil.Process(demo.pid).children(recursive=True)
        os.killpg(demo.pid, signal.SIGINT)
        demo.communicate(timeout=120)
        assert demo.returncode == EXIT_ABORTED
        assert left_of(family) == []
