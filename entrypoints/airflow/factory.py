"""One Airflow DAG for each pipeline file.

Parsing stays cheap and its outcome stable: only what ``header`` reads is known here; settings, secrets and drivers are
a task's affair (see ``tasks``), and so is telling what is wrong with a file. Which tasks there are is ``graph``'s.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from entrypoints.airflow import callbacks
from entrypoints.airflow.header import WINDOW, Header, read_headers
from entrypoints.folders import locate

if TYPE_CHECKING:
    from airflow.sdk import DAG, Param
    from airflow.sdk.definitions.deadline import DeadlineAlert

_START = datetime(2026, 1, 1, tzinfo=UTC)
_TAG = "pipeline"
#: Each attempt waits so many times longer than the one before, up to an hour.
_BACKOFF = 2.0
_MAX_RETRY_DELAY = timedelta(hours=1)


def build_dags(config_dir: Path | None = None) -> dict[str, DAG]:
    """A DAG for each file in ``<config_dir>/pipelines``, by DAG id, which is the pipeline's name."""
    folder, _ = locate(config_dir, os.environ)
    return {header.name: build_dag(header, folder) for header in read_headers(folder)}


def build_dag(header: Header, config_dir: Path) -> DAG:
    """The DAG of one pipeline; at most one run of it at a time."""
    from airflow.sdk import DAG

    from entrypoints.airflow.graph import add_tasks
    from entrypoints.airflow.scheduling import airflow_schedule

    wanted = header.orchestration
    with DAG(
        dag_id=header.name,
        description=header.description or None,
        doc_md=documentation(header),
        schedule=airflow_schedule(header, config_dir),
        start_date=_START,
        catchup=False,
        max_active_runs=1,
        tags=sorted({_TAG, *wanted.tags}),
        deadline=_deadline(header),
        default_args={
            "owner": wanted.owner,
            "retries": wanted.retries,
            "retry_delay": timedelta(seconds=wanted.retry_delay_s),
            "retry_exponential_backoff": _BACKOFF,
            "max_retry_delay": _MAX_RETRY_DELAY,
            "on_failure_callback": callbacks.failed,
            "execution_timeout": None if wanted.timeout_s is None else timedelta(seconds=wanted.timeout_s),
        },
    ) as dag:
        add_tasks(header, config_dir)
    # Last, since Airflow copies what a DAG has by then for each of its tasks, and one by one, since it would check all
    # of them against their schemas otherwise, which are good: together more than half the time of parsing.
    for name, param in _params(header).items():
        dag.params[name] = param
    return dag


def documentation(header: Header) -> str:
    """What the UI shows of the pipeline, as Markdown."""
    listed = [f"| `{stream}` | {mode} |" for stream, mode in header.streams]
    starts = header.schedule.text or "by hand"
    names = ", ".join(f"`{source}`" for source in header.sources)
    sources = f"Source {names}" if len(header.sources) == 1 else f"Sources {names}"
    lines = [
        header.description or f"The pipeline {header.name}.",
        "",
        f"{sources}; starts: `{starts}`; file `{header.path.name}`.",
    ]
    if header.orchestration.pool:
        lines += [
            "",
            f"Needs the pool `{header.orchestration.pool}`; no task starts before it is there. It is made by"
            f" `python -m entrypoints.cli airflow pools {header.name}`.",
        ]
    if header.orchestration.service:
        lines += ["", "Loaded by a service that runs `stream`; this DAG watches it and builds behind it."]
    if listed:
        lines += ["", "| stream | mode |", "|---|---|", *listed]
    return "\n".join(lines)


def _deadline(header: Header) -> DeadlineAlert | None:
    from airflow.sdk.definitions.callback import AsyncCallback
    from airflow.sdk.definitions.deadline import DeadlineAlert, DeadlineReference

    deadline_s = header.orchestration.deadline_s
    if deadline_s is None:
        return None
    facts = {"pipeline": header.name, "deadline": f"{deadline_s:g} s"}
    return DeadlineAlert(
        reference=DeadlineReference.DAGRUN_QUEUED_AT,
        interval=timedelta(seconds=deadline_s),
        callback=AsyncCallback(callbacks.deadline_missed, kwargs=facts),
    )


def _params(header: Header) -> dict[str, Param]:
    from airflow.sdk import Param

    streams = [stream for stream, _ in header.streams]
    params = {
        "dry_run": Param(False, type="boolean", description="Only tell what a run would do."),
        "resync": Param(
            [],
            type="array",
            items={"type": "string"},
            examples=streams,
            description="Streams to copy again from the source.",
        ),
    }
    if header.has_transform:
        params["full_refresh"] = Param(False, type="boolean", description="Build every model anew, all of its rows.")
        params |= {
            name: Param(
                None,
                type=["null", "string"],
                format="date-time",
                description=f"Backfill: build models that know of time again {end} this time. What is loaded stays.",
            )
            for name, end in zip(WINDOW, ("from", "until"), strict=True)
        }
    if header.orchestration.service:
        params["take_over"] = Param(
            header.orchestration.take_over,
            type="boolean",
            description="Load by this run if the service does not.",
        )
    return params
