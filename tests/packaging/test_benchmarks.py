"""No test runs the benchmarks; but they start, and say what there is to measure."""

from __future__ import annotations

import subprocess
import sys

from tests.support.child import ROOT, environment


def test_the_benchmarks_start() -> None:
    command = [sys.executable, "-m", "tests.benchmarks", "--help"]
    told = subprocess.run(command, cwd=ROOT, env=environment(), capture_output=True, text=True, check=True, timeout=120)
    assert "copy" in told.stdout
