"""Options that every command takes, with one meaning everywhere.

What a command does with them is in ``invocation``.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import attrs
import click

Command = TypeVar("Command", bound=Callable[..., Any])

LOG_LEVELS = ("debug", "info", "warning", "error")


@attrs.frozen
class Common:
    """The values of the common options."""

    config_dir: Path | None = None
    env: str | None = None
    as_json: bool = False
    log_level: str | None = None


def common_options(command: Command) -> Command:
    """Add the common options and hand them to ``command`` as ``common``."""

    @functools.wraps(command)
    def wrapped(*, config_dir: Path | None, env: str | None, as_json: bool, log_level: str | None, **rest: Any) -> Any:
        return command(common=Common(config_dir, env, as_json, log_level), **rest)

    for option in reversed(_OPTIONS):
        wrapped = option(wrapped)
    return wrapped  # type: ignore[return-value] # click's decorators keep only that it is callable


_OPTIONS = (
    click.option(
        "--config-dir",
        type=click.Path(path_type=Path, file_okay=False),
        metavar="FOLDER",
        help="Folder of the settings and pipeline files.  [default: PIPELINE_CONFIG_DIR, else ./config]",
    ),
    click.option(
        "--env",
        metavar="NAME",
        help="Environment whose settings go over base.yaml.  [default: PIPELINE_ENV, else development]",
    ),
    click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.  [default: tables for people]"),
    click.option(
        "--log-level",
        type=click.Choice(LOG_LEVELS, case_sensitive=False),
        metavar="LEVEL",
        help="Lowest level of log lines: debug, info, warning or error.  [default: LOG_LEVEL, else info]",
    ),
)

pipeline_argument = click.argument("pipeline", metavar="PIPELINE")
