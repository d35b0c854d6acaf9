"""What Airflow calls when a task failed for good or a run missed its deadline: people are told by the Notifier port.

Links lead to AIRFLOW_BASE_URL. Only our own errors are shown; of any other just its class (P10).
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from pipeline.domain.finding import Finding, Level
from pipeline.ports.notifier import Notifier

#: What run ids have that addresses may have too: all but the plus of a time zone.
_PLAIN = ":"


def failed(context: Mapping[str, Any]) -> None:
    """A task failed and is not tried again."""
    ti = context["ti"]
    # Of a mapped task whose process is gone only its number may be known.
    group = (getattr(ti, "rendered_map_index", None) or f"group {ti.map_index}") if ti.map_index >= 0 else None
    reason = _reason(context.get("exception"))
    what = f"task {task_name(ti.task_id, group)} failed after {ti.try_number} attempts: {reason}"
    _notifier().notify(_finding("task", what, dag_id=ti.dag_id, run_id=ti.run_id), pipeline=ti.dag_id)


async def deadline_missed(pipeline: str, deadline: str, context: Mapping[str, Any]) -> None:
    """A run has not ended in the time that its pipeline file allows."""
    run_id = str((context.get("dag_run") or {}).get("dag_run_id") or "")
    finding = _finding("deadline", f"the run has not ended within {deadline}", dag_id=pipeline, run_id=run_id)
    await asyncio.to_thread(lambda: _notifier().notify(finding, pipeline=pipeline))


def task_name(task_id: str, group: str | None) -> str:
    """A task in words, with the ``group`` that it is mapped to, if any."""
    return task_id if group is None else f"{task_id} of {group}"


def _finding(check: str, what: str, *, dag_id: str, run_id: str) -> Finding:
    return Finding(Level.ERROR, check, what, where=f"run {run_id}", hint=f"See {run_url(dag_id, run_id)}.")


def run_url(dag_id: str, run_id: str, *, base_url: str | None = None) -> str:
    """Where people see a run; ``base_url`` is AIRFLOW_BASE_URL's unless given, a path where that is not said either."""
    base = os.environ.get("AIRFLOW_BASE_URL", "") if base_url is None else base_url
    return f"{base.rstrip('/')}/dags/{quote(dag_id)}/runs/{quote(run_id, safe=_PLAIN)}"


def _reason(error: object) -> str:
    from airflow.sdk.exceptions import AirflowException

    if error is None:
        # Airflow only knows that nobody works on it any more.
        return "its process is gone without a word (killed, out of memory, or its machine lost)"
    # Ours are made in ``attempt``, secrets masked and without what a driver said.
    return str(error) if isinstance(error, AirflowException) else type(error).__name__


def _notifier() -> Notifier:
    import structlog

    from entrypoints.container import Container

    notifier: Notifier = Container(logger=structlog.get_logger("pipeline")).notifier()
    return notifier
