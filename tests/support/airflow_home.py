"""A home folder for Airflow's tests: the settings, the dbt project, and the pipeline files that a test writes."""

from __future__ import annotations

import os
from pathlib import Path

ROOT = Path(__file__).parents[2]


def make_home(folder: Path) -> Path:
    """The folder, filled with everything but pipeline files."""
    (folder / "config" / "pipelines").mkdir(parents=True)
    (folder / "dbt").symlink_to(ROOT / "dbt")
    for name in ("base.yaml", "development.yaml"):
        (folder / "config" / name).write_text((ROOT / "config" / name).read_text())
    (folder / "config" / "contracts").symlink_to(ROOT / "config" / "contracts")
    return folder


def shop_file(*, schedule: str = "", airflow: str = "") -> str:
    """The shop's pipeline file, with another schedule or other words on its DAG."""
    text = (ROOT / "config" / "pipelines" / "shop.yaml").read_text()
    head, _, _ = text.partition("\nairflow:\n")
    return f"{head}\n" + (f"schedule: {schedule}\n" if schedule else "") + (f"airflow: {airflow}\n" if airflow else "")


def plain_environment() -> dict[str, str]:
    """This process's environment without anything that configures pipelines or Airflow."""
    kept = {name: text for name, text in os.environ.items() if not name.startswith(("PIPELINE_", "AIRFLOW", "SHOP_"))}
    # An empty one too, as make and shells hand them down.
    return {**kept, "PYTHONPATH": str(ROOT), "EMPTY": ""}
