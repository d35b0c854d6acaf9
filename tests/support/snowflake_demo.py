"""``make demo-snowflake``: the demo, its pipeline file unchanged but for the warehouse, loading into the emulator."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import yaml

from tests.support.child import ROOT, environment
from tests.support.emulator import Emulator

_END = """
That Snowflake was an emulator, gone now with what it held. With an account of your own, give the pipeline file
  warehouse: {kind: snowflake, database: ...}"""


def main() -> int:
    """Run the demo with this command's arguments; returns its exit status."""
    with Emulator() as emulator, tempfile.TemporaryDirectory() as folder:
        options = emulator.options("DEMO")
        secret = Path(folder) / "password"
        secret.write_text(str(options["password"]))
        _write_config(Path(folder), {"kind": "snowflake", **options, "password": f"${{file:{secret}}}"})
        status = _demo(folder)
    if status == 0 and "--json" not in sys.argv:
        sys.stdout.write(f"{_END}\n")
    return status


def _write_config(folder: Path, warehouse: dict[str, object]) -> None:
    (folder / "pipelines").mkdir()
    for name in ("base.yaml", "development.yaml"):
        (folder / name).write_text((ROOT / "config" / name).read_text())
    pipeline = yaml.safe_load((ROOT / "config" / "pipelines" / "shop.yaml").read_text())
    pipeline["warehouse"] = warehouse
    (folder / "pipelines" / "shop.yaml").write_text(yaml.safe_dump(pipeline, sort_keys=False))


def _demo(config: str) -> int:
    home = os.environ.get("PIPELINE_HOME", str(ROOT))
    command = [sys.executable, "-m", "entrypoints.cli", "demo", *sys.argv[1:]]
    demo = subprocess.Popen(
        command,
        env={**environment(), "PIPELINE_ENV": "development", "PIPELINE_HOME": home, "PIPELINE_CONFIG_DIR": config},
        cwd=home,
    )
    while True:
        try:
            return demo.wait()
        except KeyboardInterrupt:  # the terminal has told the demo too: it stops by itself, and then the emulator does
            continue


if __name__ == "__main__":
    sys.exit(main())
