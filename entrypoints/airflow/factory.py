"""One Airflow DAG for each pipeline file: load, then transform.

Parsing stays cheap and its outcome stable: only names, schedules and descriptions are read here; settings, secrets and
drivers are a task's affair (see ``tasks``), and so is telling what is wrong with a file.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import attrs
import yaml

from entrypoints.folders import locate

if TYPE_CHECKING:
    from airflow.sdk import DAG

_START = datetime(2026, 1, 1, tzinfo=UTC)
_RETRIES = 3
_RETRY_DELAY = timedelta(minutes=1)


@attrs.frozen
class Header:
    """What a DAG needs to know of a pipeline file."""

    name: str
    path: Path
    schedule: str | None
    description: str
    has_transform: bool


def build_dags(config_dir: Path | None = None) -> dict[str, DAG]:
    """A DAG for each file in ``<config_dir>/pipelines``, by DAG id, which is the pipeline's name."""
    folder, _ = locate(config_dir, os.environ)
    return {header.name: _dag(header, folder) for header in read_headers(folder)}


def read_headers(config_dir: Path) -> tuple[Header, ...]:
    """The headers of all pipeline files in order of name. A file that cannot be read gets one too: its load task then
    fails with what is wrong.
    """
    return tuple(_header(path) for path in sorted((config_dir / "pipelines").glob("*.yaml")))


def _header(path: Path) -> Header:
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        content = None
    sections = content if isinstance(content, dict) else {}
    schedule = sections.get("schedule")
    return Header(
        name=path.stem,
        path=path,
        schedule=schedule if isinstance(schedule, str) else None,
        description=str(sections.get("description") or "").strip(),
        has_transform="transform" in sections,
    )


def _dag(header: Header, config_dir: Path) -> DAG:
    from airflow.providers.standard.operators.python import PythonOperator
    from airflow.sdk import DAG

    with DAG(
        dag_id=header.name,
        description=header.description or None,
        schedule=header.schedule,
        start_date=_START,
        catchup=False,
        max_active_runs=1,
        tags=["pipeline"],
        default_args={"retries": _RETRIES, "retry_delay": _RETRY_DELAY, "retry_exponential_backoff": True},
    ) as dag:
        arguments = [str(header.path), str(config_dir)]
        loaded = PythonOperator(task_id="load", python_callable=load, op_args=arguments)
        if header.has_transform:
            loaded >> PythonOperator(task_id="transform", python_callable=transform, op_args=arguments)
    return dag


def load(path: str, config_dir: str) -> dict[str, object]:
    """The task that loads; see ``tasks``."""
    from entrypoints.airflow.tasks import load_pipeline

    return load_pipeline(Path(path), Path(config_dir))


def transform(path: str, config_dir: str) -> dict[str, object]:
    """The task that builds marts; see ``tasks``."""
    from entrypoints.airflow.tasks import transform_pipeline

    return transform_pipeline(Path(path), Path(config_dir))
