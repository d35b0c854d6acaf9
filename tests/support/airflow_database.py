"""Airflow's own database, migrated once for all tests that need one: that costs seconds of CPU, copying it nothing."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

_MIGRATE = "from airflow.utils.db import initdb; initdb()"


def make_database(path: Path, environment: dict[str, str]) -> None:
    """A fresh database at ``path``, its folder made. The one that it is copied from is made by whoever comes first."""
    template = Path(tempfile.gettempdir()) / f"airflow-{version('apache-airflow-core')}-{os.getuid()}.db"
    with template.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not template.exists():
            _migrate(template, environment)
    path.parent.mkdir(exist_ok=True)
    shutil.copy(template, path)


def _migrate(template: Path, environment: dict[str, str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        database = Path(folder) / "airflow.db"
        own = {"AIRFLOW_HOME": folder, "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{database}"}
        subprocess.run(
            [sys.executable, "-c", _MIGRATE], env={**environment, **own}, capture_output=True, check=True, timeout=240
        )
        shutil.move(database, template)
