"""The commands of the command line and what they take; what they do is imported when they run.

Nothing but click and the standard library may be imported here: ``--help`` answers at once.
"""

from __future__ import annotations

from pathlib import Path

import click

from entrypoints.cli.airflow import airflow
from entrypoints.cli.options import Common, common_options, pipeline_argument

_EPILOG = """\b
Examples:
  python -m entrypoints.cli demo
  python -m entrypoints.cli init crm --dsn-env CRM_DSN
  python -m entrypoints.cli run crm
  python -m entrypoints.cli status crm --json

\b
Exit status:
  0    done
  1    failed, or verification found differences
  2    rejected: arguments, configuration, or a system that is not set up for it
  3    a system could not be reached; trying again may help
  130  aborted
"""


def _show_version(context: click.Context, _: click.Parameter, wanted: bool) -> None:
    if not wanted:
        return
    from importlib import metadata

    try:
        click.echo(metadata.version("realtime-data-pipeline"))
    except metadata.PackageNotFoundError:
        click.echo("a checkout, not installed")
    context.exit()


class _InOrderOfUse(click.Group):
    """Lists commands in the order in which they are written below."""

    def list_commands(self, _: click.Context) -> list[str]:
        return list(self.commands)


@click.group(
    cls=_InOrderOfUse,
    epilog=_EPILOG,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120},
)
@click.option(
    "--version", is_flag=True, is_eager=True, expose_value=False, callback=_show_version, help="Show the version."
)
def cli() -> None:
    """Keep a warehouse equal to its sources, second by second, and the dbt marts behind it fresh.

    PIPELINE is the name of a file in config/pipelines, or the path of a pipeline file.
    """


@cli.command(short_help="Watch it work, on this machine.")
@click.option(
    "--seconds", type=click.FloatRange(1), default=20, show_default=True, help="How long to stream, in seconds."
)
@click.option(
    "--rate", type=click.FloatRange(1), default=200, show_default=True, help="Transactions a second in the shop."
)
@click.option("--keep", is_flag=True, help="Keep the PostgreSQL server running afterwards, until Ctrl-C.")
@common_options
def demo(*, common: Common, seconds: float, rate: float, keep: bool) -> int:
    """Watch a shop's PostgreSQL flow into a DuckDB warehouse and dbt marts, all on this machine."""
    from entrypoints.demo.run import run_demo

    return run_demo(common, seconds=seconds, rate=rate, keep=keep)


@cli.command()
@click.argument("name", metavar="NAME")
@click.option("--kind", default="postgres", show_default=True, help="Kind of the source.")
@click.option("--dsn-env", metavar="VARIABLE", help="Environment variable that holds the DSN of a PostgreSQL database.")
@click.option(
    "--set",
    "given",
    multiple=True,
    metavar="KEY=VALUE",
    help="A key of the source section; may be repeated. ${NAME} stands for an environment variable.",
)
@click.option(
    "--schema", "schemas", multiple=True, metavar="SCHEMA", help="Only this schema; may be repeated.  [default: all]"
)
@click.option(
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    help="File to write.  [default: config/pipelines/NAME.yaml]",
)
@click.option("--force", is_flag=True, help="Overwrite an existing file.")
@common_options
def init(
    *,
    common: Common,
    name: str,
    kind: str,
    dsn_env: str | None,
    given: tuple[str, ...],
    schemas: tuple[str, ...],
    output: Path | None,
    force: bool,
) -> int:
    """Write a pipeline file from what a live source has: a database, an API, a folder."""
    from entrypoints.cli.init import source_section, write_pipeline

    section = source_section(kind, dsn_env=dsn_env, given=given)
    return write_pipeline(name, common, source=section, schemas=schemas, output=output, force=force)


@cli.command(short_help="Check everything, change nothing.")
@pipeline_argument
@common_options
def doctor(*, common: Common, pipeline: str) -> int:
    """Check configuration, source, warehouse and dbt, changing nothing.

    Exit status 2 if something would stop a run, 3 if it is only that a system could not be reached.
    """
    from entrypoints.cli import looking

    return looking.doctor(pipeline, common)


@cli.command(short_help="Show what a run would do.")
@pipeline_argument
@common_options
def plan(*, common: Common, pipeline: str) -> int:
    """Show what a run would create, alter, copy and apply, doing nothing.

    Exit status 2 if something would stop a run, 3 if it is only that a system could not be reached.
    """
    from entrypoints.cli import looking

    return looking.plan(pipeline, common)


@cli.command(short_help="Show a stream's first rows.")
@pipeline_argument
@click.argument("stream", metavar="STREAM")
@click.option("--rows", type=click.IntRange(1, 1000), default=10, show_default=True, help="How many rows to show.")
@common_options
def preview(*, common: Common, pipeline: str, stream: str, rows: int) -> int:
    """Show the first rows of a stream and the types they would have, writing nothing anywhere."""
    from entrypoints.cli import looking

    return looking.preview(pipeline, common, stream=stream, rows=rows)


@cli.command(short_help="Copy, catch up, build the marts; then end.")
@pipeline_argument
@click.option("--no-transform", is_flag=True, help="Load only; build no marts.")
@common_options
def run(*, common: Common, pipeline: str, no_transform: bool) -> int:
    """Copy what is new, catch up to where the source is now, build the marts."""
    from entrypoints.cli import moving

    return moving.run(pipeline, common, with_transform=not no_transform)


@cli.command(short_help="Follow the source until stopped.")
@pipeline_argument
@click.option("--no-transform", is_flag=True, help="Load only; build no marts.")
@common_options
def stream(*, common: Common, pipeline: str, no_transform: bool) -> int:
    """Follow the source until stopped by Ctrl-C or SIGTERM, building marts behind it."""
    from entrypoints.cli import moving

    return moving.stream(pipeline, common, with_transform=not no_transform)


@cli.command(short_help="Copy streams again.")
@pipeline_argument
@click.argument("streams", nargs=-1, metavar="STREAM...")
@click.option("--all", "every", is_flag=True, help="Copy every stream; also the way on after the source lost its log.")
@click.option("--no-transform", is_flag=True, help="Load only; build no marts.")
@common_options
def resync(*, common: Common, pipeline: str, streams: tuple[str, ...], every: bool, no_transform: bool) -> int:
    """Copy streams again from the source while the others stay where they are."""
    if bool(streams) == every:
        raise click.UsageError("Name the streams to copy again, or give --all.")
    from entrypoints.cli import moving

    return moving.resync(pipeline, common, streams=streams, with_transform=not no_transform)


@cli.command(short_help="Show how far a pipeline is.")
@pipeline_argument
@click.option(
    "--loads", type=click.IntRange(0), default=10, show_default=True, help="How many of the latest loads to show."
)
@common_options
def status(*, common: Common, pipeline: str, loads: int) -> int:
    """Show how far a pipeline is, from the warehouse alone."""
    from entrypoints.cli import looking

    return looking.status(pipeline, common, loads=loads)


@cli.command(short_help="Compare source and warehouse row by row.")
@pipeline_argument
@click.argument("streams", nargs=-1, metavar="[STREAM...]")
@click.option("--repair", is_flag=True, help="Load rows that differ again.")
@common_options
def verify(*, common: Common, pipeline: str, streams: tuple[str, ...], repair: bool) -> int:
    """Compare every row of source and warehouse at one position.

    Exit status 1 if rows differ.
    """
    from entrypoints.cli import looking

    return looking.verify(pipeline, common, streams=streams, repair=repair)


@cli.command(short_help="Build and test the marts.")
@pipeline_argument
@click.argument("streams", nargs=-1, metavar="[STREAM...]")
@click.option("--full-refresh", is_flag=True, help="Build incremental models anew.")
@common_options
def transform(*, common: Common, pipeline: str, streams: tuple[str, ...], full_refresh: bool) -> int:
    """Build and test the marts, all or those downstream of the streams named."""
    from entrypoints.cli import moving

    return moving.transform(pipeline, common, streams=streams, full_refresh=full_refresh)


cli.add_command(airflow)
