"""Puts a result on stdout: JSON for programs, a table for people.

Log lines and progress go to stderr and are not written here.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable

from entrypoints.cli.invocation import redactor
from entrypoints.cli.options import Common


def show(common: Common, *, as_json: Callable[[], object], as_table: Callable[[], object]) -> None:
    """Print the result in the form that was asked for, secrets masked."""
    if common.as_json:
        sys.stdout.write(redactor().mask(json.dumps(as_json(), default=str)) + "\n")
        return
    from entrypoints.cli.tables import console

    screen = console()
    with screen.capture() as capture:
        screen.print(as_table())
    sys.stdout.write(redactor().mask(capture.get()))
