"""``make airflow`` as a person runs it: address and login are printed, Ctrl-C leaves nothing behind."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from entrypoints.airflow.client import AirflowClient
from tests.support.airflow_home import ROOT, plain_environment
from tests.support.leftovers import ended_on_failure, left_of

pytestmark = [pytest.mark.integration, pytest.mark.slow(seconds=120)]


@pytest.mark.parametrize("moment", ["Airflow takes a minute to start", "Ctrl-C stops all of it"])
def test_an_interrupt_stops_everything_at_any_moment(tmp_path: Path, moment: str) -> None:
    demo = subprocess.Popen(
        [sys.executable, "-m", "entrypoints.airflow.demo"],
        cwd=tmp_path,
        env={**plain_environment(), "PIPELINE_CONFIG_DIR": str(ROOT / "config"), "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    with ended_on_failure(demo):
        assert demo.stdout is not None
        said: list[str] = []
        for line in demo.stdout:
            said.append(line)
            if moment in line:
                break
        else:
            pytest.fail("it ended before")
        family = psutil.Process(demo.pid).children(recursive=True)
        if moment == "Ctrl-C stops all of it":
            _signs_in("".join(said))
        os.killpg(demo.pid, signal.SIGINT)  # as a terminal does
        rest, errors = demo.communicate(timeout=180)
        assert (demo.returncode, errors) == (0, "")
        assert rest.endswith("Stopped; nothing is left running.\n")
        assert left_of(family) == []


def _signs_in(said: str) -> None:
    """Whether the address and the login that were printed are good, and the shop is there."""
    printed = dict(re.findall(r"^(Airflow|user|password) +(\S+)$", said, flags=re.MULTILINE))
    client = AirflowClient(printed["Airflow"], user=printed["user"], password=printed["password"])
    assert client.get("monitor/health")["scheduler"]["status"] == "healthy"
    assert set(client.pools()) == {"default_pool", "shop_file"}
