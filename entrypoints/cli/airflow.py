"""The command group ``airflow`` and what its commands take; what they do is in ``orchestration``.

Nothing but click and the standard library may be imported here: ``--help`` answers at once.
"""

from __future__ import annotations

from datetime import datetime

import click

from entrypoints.cli.options import Common, common_options, pipeline_argument

_DAY_S = 86400.0


@click.group()
def airflow() -> None:
    """Start and watch runs in Airflow, over its REST API.

    AIRFLOW_BASE_URL says where it is; AIRFLOW_USERNAME and AIRFLOW_PASSWORD, or AIRFLOW_TOKEN, sign in.
    """


@airflow.command(short_help="Start a run of a pipeline's DAG.")
@pipeline_argument
@click.option("--wait", is_flag=True, help="Watch the run to its end; exit status 1 if it failed.")
@click.option(
    "--timeout",
    "timeout_s",
    type=click.FloatRange(0, min_open=True),
    default=_DAY_S,
    show_default=True,
    help="How long to watch, in seconds; exit status 3 if the run has not ended by then.",
)
@click.option("--dry-run", is_flag=True, help="Only let it tell what a run would do.")
@click.option("--full-refresh", is_flag=True, help="Let it build every model anew.")
@click.option(
    "--window",
    nargs=2,
    type=click.DateTime(),
    metavar="FROM TO",
    help="Let it build models that know of time again from FROM until TO (2026-01-31, or with time, in UTC).",
)
@click.option("--resync", multiple=True, metavar="STREAM", help="Let it copy this stream again; may be repeated.")
@click.option("--take-over", is_flag=True, help="Let it load if the pipeline's service does not.")
@common_options
def trigger(
    *,
    common: Common,
    pipeline: str,
    wait: bool,
    timeout_s: float,
    dry_run: bool,
    full_refresh: bool,
    window: tuple[datetime, datetime] | None,
    resync: tuple[str, ...],
    take_over: bool,
) -> int:
    """Start a run of a pipeline's DAG."""
    from entrypoints.cli import orchestration

    ends = [f"{moment.isoformat()}+00:00" for moment in window or ()]
    given = {
        "dry_run": dry_run,
        "full_refresh": full_refresh,
        "resync": list(resync),
        "take_over": take_over,
        **dict(zip(("window_from", "window_to"), ends, strict=False)),
    }
    params = {name: value for name, value in given.items() if value}
    return orchestration.trigger(pipeline, common, params=params, wait=wait, timeout_s=timeout_s)


@airflow.command(short_help="Show the DAGs of pipelines and their latest runs.")
@click.argument("pipelines", nargs=-1, metavar="[PIPELINE...]")
@common_options
def status(*, common: Common, pipelines: tuple[str, ...]) -> int:
    """Show the DAGs of pipelines and their latest runs, all of them if none is named."""
    from entrypoints.cli import orchestration

    return orchestration.status(common, pipelines=pipelines)


@airflow.command(short_help="Make the pools that pipelines name.")
@click.argument("pipelines", nargs=-1, metavar="[PIPELINE...]")
@click.option("--slots", type=click.IntRange(1), default=1, show_default=True, help="How many tasks at a time.")
@common_options
def pools(*, common: Common, pipelines: tuple[str, ...], slots: int) -> int:
    """Make the pools that pipelines name and that are not there, those of all pipelines if none is named.

    A task whose pool is missing never starts. One slot lets a DuckDB file be opened by one task at a time.
    """
    from entrypoints.cli import orchestration

    return orchestration.pools(common, pipelines=pipelines, slots=slots)
