"""Starts the command line: ``python -m entrypoints.cli``, installed as ``realtime-data-pipeline``.

Commands are in ``app``; what a failure looks like is in ``failure``.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

import click

from entrypoints.cli.app import cli

PROGRAM = "python -m entrypoints.cli"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        status = cli.main(given, prog_name=PROGRAM, standalone_mode=False)
        sys.stdout.flush()
    except click.ClickException as error:
        from entrypoints.cli.failure import report_usage

        return report_usage(error, as_json="--json" in given)
    except BrokenPipeError:
        # Whoever read our output has gone; give Python a stdout that it can flush at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (KeyboardInterrupt, Exception) as error:
        from entrypoints.cli.failure import report

        # Click turns an interrupt into an error of its own.
        origin = error.__cause__ if isinstance(error, click.Abort) and error.__cause__ else error
        return report(origin, as_json="--json" in given)
    return status if isinstance(status, int) else 0


if __name__ == "__main__":
    sys.exit(main())
