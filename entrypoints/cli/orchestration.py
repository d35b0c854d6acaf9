"""Commands that speak to Airflow over its REST API: ``airflow trigger``, ``airflow status`` and ``airflow pools``.

Where it is and how to sign in is said by AIRFLOW_BASE_URL, AIRFLOW_USERNAME, AIRFLOW_PASSWORD and AIRFLOW_TOKEN.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence, Set
from typing import Any
from urllib.parse import quote

from entrypoints.airflow.callbacks import run_url, task_name
from entrypoints.airflow.client import AirflowClient, AirflowRefused, AirflowUnreachable
from entrypoints.cli.invocation import redactor, settings_of
from entrypoints.cli.options import Common
from entrypoints.cli.output import show
from pipeline.domain.errors import ConfigError, PipelineError

_POLL_S = 1.0
_FAILED = {"failed"}
_ENDED = {"success", *_FAILED}
#: It is always there.
_DEFAULT_POOL = "default_pool"


def trigger(pipeline: str, common: Common, *, params: Mapping[str, Any], wait: bool, timeout_s: float) -> int:
    """Start a run of the pipeline's DAG; with ``wait``, watch it to its end."""
    client = _client(common)
    _refuse_stuck(client, pipeline)
    run_id = client.trigger(pipeline, params)
    if wait:
        _watch(client, pipeline, run_id, timeout_s=timeout_s)
    told = _told(client, pipeline, run_id)
    show(common, as_json=lambda: told, as_table=lambda: _run_table(told))
    if told["state"] in _FAILED:
        failed = ", ".join(
            task_name(task["task"], task["group"]) for task in told["tasks"] if task["state"] == "failed"
        )
        raise PipelineError(f"the run failed in {failed}", where=f"pipeline {pipeline}", hint=f"See {told['url']}.")
    return 0


def status(common: Common, *, pipelines: Sequence[str]) -> int:
    """Show each pipeline's DAG and its latest run; all that are in Airflow if none is named."""
    client = _client(common)
    dags = _dags(client, pipelines)
    pools = set(client.pools())
    told = [_dag(client, dag, pools=pools) for dag in dags.values()]
    show(common, as_json=lambda: {"airflow_url": client.url, "pipelines": told}, as_table=lambda: _dags_table(told))
    return 0


def pools(common: Common, *, pipelines: Sequence[str], slots: int) -> int:
    """Make the pools that the pipelines' DAGs name and that are not there; those that are stay as they are."""
    client = _client(common)
    wanted: dict[str, list[str]] = {}
    for name in _dags(client, pipelines):
        for pool in client.pools_of(name):
            wanted.setdefault(pool, []).append(name)
    missing = sorted(set(wanted) - set(client.pools()))
    for pool in missing:
        client.make_pool(pool, slots=slots, description=f"Tasks that open the warehouse of {', '.join(wanted[pool])}")
    told = [
        {"pool": pool, "made": pool in missing, "pipelines": names}
        for pool, names in sorted(wanted.items())
        if pool != _DEFAULT_POOL
    ]
    show(common, as_json=lambda: {"airflow_url": client.url, "pools": told}, as_table=lambda: _pools_table(told))
    return 0


def _dags(client: AirflowClient, pipelines: Sequence[str]) -> dict[str, Mapping[str, Any]]:
    """The DAGs of these pipelines, of all if none is named, by name."""
    dags = {str(dag["dag_id"]): dag for dag in client.all("dags", "dags", tags="pipeline")}
    unknown = sorted(set(pipelines) - set(dags))
    if unknown:
        raise AirflowRefused(
            f"Airflow has no pipeline called {', '.join(unknown)}",
            where=client.url,
            hint=f"It has: {', '.join(sorted(dags)) or 'none'}.",
        )
    return {name: dags[name] for name in pipelines or sorted(dags)}


def _refuse_stuck(client: AirflowClient, name: str) -> None:
    """Refuse a run that would be queued and never start."""
    where = f"pipeline {name}"
    if client.get(f"dags/{quote(name)}")["is_paused"]:
        raise AirflowRefused(
            "its DAG is paused, so that a run would not start",
            where=where,
            hint=f"Unpause it: {client.url}/dags/{name}.",
        )
    missing = _missing_pools(client, name, pools=set(client.pools()))
    if missing:
        raise AirflowRefused(
            f"there is no pool called {', '.join(missing)}, so that a run would not start",
            where=where,
            hint=f"Make it: python -m entrypoints.cli airflow pools {name}",
        )


def _missing_pools(client: AirflowClient, name: str, *, pools: Set[str]) -> list[str]:
    return [pool for pool in client.pools_of(name) if pool not in pools]


def _client(common: Common) -> AirflowClient:
    url = settings_of(common).airflow_base_url
    if not url:
        raise ConfigError("it is not said where Airflow is", hint="Set AIRFLOW_BASE_URL, for example http://host:8080.")
    password, token = os.environ.get("AIRFLOW_PASSWORD"), os.environ.get("AIRFLOW_TOKEN")
    for secret in (password, token):
        redactor().secrets.add(secret or "")
    return AirflowClient(url, user=os.environ.get("AIRFLOW_USERNAME"), password=password, token=token)


def _watch(client: AirflowClient, dag_id: str, run_id: str, *, timeout_s: float) -> None:
    """Return when the run has ended. Airflow may be away for a while meanwhile."""
    deadline = time.monotonic() + timeout_s
    while True:
        try:
            if client.run(dag_id, run_id)["state"] in _ENDED:
                return
        except AirflowUnreachable:
            if time.monotonic() >= deadline:
                raise
        if time.monotonic() >= deadline:
            raise AirflowUnreachable(
                f"the run has not ended within {timeout_s:g} s; it goes on",
                where=f"run {run_id}",
                hint=f"See {_url(client, dag_id, run_id)}.",
            )
        time.sleep(_POLL_S)


def _told(client: AirflowClient, dag_id: str, run_id: str) -> dict[str, Any]:
    run = client.run(dag_id, run_id)
    tasks = client.tasks(dag_id, run_id)
    return {
        "pipeline": dag_id,
        **_facts(run),
        "url": _url(client, dag_id, run_id),
        "tasks": [
            {
                "task": task["task_id"],
                "group": task["rendered_map_index"] if task["map_index"] >= 0 else None,
                "state": task["state"],
                "attempts": task["try_number"],
                "seconds": task["duration"],
            }
            for task in tasks
        ],
    }


def _dag(client: AirflowClient, dag: Mapping[str, Any], *, pools: Set[str]) -> dict[str, Any]:
    name = str(dag["dag_id"])
    runs = client.get(f"dags/{name}/dagRuns", limit=1, order_by="-run_after")["dag_runs"]
    return {
        "pipeline": name,
        "paused": dag["is_paused"],
        "schedule": dag["timetable_summary"],
        "url": f"{client.url}/dags/{name}",
        "missing_pools": _missing_pools(client, name, pools=pools),
        "latest": _facts(runs[0]) if runs else None,
    }


def _facts(run: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "run": run["dag_run_id"],
        "state": run["state"],
        "started_at": run["start_date"],
        "ended_at": run["end_date"],
        "started_by": run["run_type"],
    }


def _url(client: AirflowClient, dag_id: str, run_id: str) -> str:
    return run_url(dag_id, run_id, base_url=client.url)


def _run_table(told: Mapping[str, Any]) -> object:
    from entrypoints.cli.tables import run_table

    return run_table(told)


def _dags_table(told: Sequence[Mapping[str, Any]]) -> object:
    from entrypoints.cli.tables import dags_table

    return dags_table(told)


def _pools_table(told: Sequence[Mapping[str, Any]]) -> object:
    from entrypoints.cli.tables import pools_table

    return pools_table(told)
