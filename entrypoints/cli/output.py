"""Puts a result on stdout: JSON for programs, a table for people.

Log lines and progress go to stderr and are not written here.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

from entrypoints.cli.invocation import redactor
from entrypoints.cli.options import Common


def shown(path: Path) -> str:
    """A path as a person here would type it."""
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)


def show(common: Common, *, as_json: Callable[[], object], as_table: Callable[[], object]) -> None:
    """Print the result in the form that was asked for, secrets masked."""
    if common.as_json:
        sys.stdout.write(redactor().mask(json.dumps(as_json(), default=str)) + "\n")
        return
    from entrypoints.cli.tables import console

    screen = console()
    with screen.capture() as capture:
        screen.print(as_table())
    lines = redactor().mask(capture.get()).splitlines()
    sys.stdout.write("".join(f"{line.rstrip()}\n" for line in lines))
