"""Which task does what; imported by a task when it runs, never while DAGs are parsed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from entrypoints.airflow import building, loading
from entrypoints.airflow.attempt import Attempt
from entrypoints.airflow.graph import CHECK, DECIDE, LOAD, PUBLISH, VERIFY

_STEPS: dict[str, Callable[[Attempt], object]] = {
    DECIDE: loading.decide,
    LOAD: loading.load,
    CHECK: loading.check,
    VERIFY: building.compare,
    PUBLISH: building.publish,
}


def work(task_id: str, path: Path, config_dir: Path, *, group: str | None, context: Mapping[str, Any]) -> object:
    """Do the work of the task ``task_id`` of the pipeline in the file ``path``, for one ``group`` or for all; gives
    what other tasks may pull.
    """
    return _STEPS.get(task_id, building.build_marts)(Attempt(task_id, path, config_dir, context, group=group))
