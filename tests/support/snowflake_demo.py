"""``make demo-snowflake``: the demo, its pipeline file unchanged but for the warehouse, loading into the emulator."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import yaml

from tests.support.attached import ROOT, environment
from tests.support.emulator import Emulator

_PASSWORD = "SNOWFLAKE_PASSWORD"


def main() -> int:
    """Run the demo with this command's arguments; returns its exit status."""
    with Emulator() as emulator, tempfile.TemporaryDirectory() as folder:
        options = emulator.options("DEMO")
        password = str(options.pop("password"))
        (Path(folder) / "pipelines").mkdir()
        for name in ("base.yaml", "development.yaml"):
            (Path(folder) / name).write_text((ROOT / "config" / name).read_text())
        pipeline = yaml.safe_load((ROOT / "config" / "pipelines" / "shop.yaml").read_text())
        pipeline["warehouse"] = {"kind": "snowflake", **options, "password": f"${{{_PASSWORD}}}"}
        (Path(folder) / "pipelines" / "shop.yaml").write_text(yaml.safe_dump(pipeline, sort_keys=False))
        return _demo({"PIPELINE_CONFIG_DIR": folder, "PIPELINE_HOME": str(ROOT), _PASSWORD: password})


def _demo(variables: dict[str, str]) -> int:
    command = [sys.executable, "-m", "entrypoints.cli", "demo", *sys.argv[1:]]
    demo = subprocess.Popen(command, env={**environment(), **variables, "PIPELINE_ENV": "development"}, cwd=ROOT)
    while True:
        try:
            return demo.wait()
        except KeyboardInterrupt:  # the terminal has told the demo too: it stops by itself, and then the emulator does
            continue


if __name__ == "__main__":
    sys.exit(main())
