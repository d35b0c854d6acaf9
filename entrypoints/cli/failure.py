"""Failures as a person sees them: one message that ends with what to do, and the exit status.

The places that an unexpected error passed are in the log file only.
"""

from __future__ import annotations

import json
import sys

import click

from entrypoints.cli.invocation import log_unless_logged, redactor
from pipeline.domain.errors import PipelineError

EXIT_ABORTED = 130
EXIT_FAILURE = 1


def report(error: BaseException, *, as_json: bool) -> int:
    """Tell about ``error`` on stderr, and on stdout as JSON if asked; returns the exit status."""
    facts, status = _facts(error)
    mask = redactor().mask
    if as_json:
        sys.stdout.write(mask(json.dumps({"error": facts}, default=str)) + "\n")
    place = f"{facts['where']}: " if facts["where"] else ""
    sys.stderr.write(mask(f"error: {place}{str(facts['what']).rstrip()}\n"))
    if facts["hint"]:
        sys.stderr.write(mask(f"{facts['hint']}\n"))
    return status


def report_usage(error: click.ClickException, *, as_json: bool) -> int:
    """Tell about arguments that make no sense, the same way; returns the exit status."""
    context = error.ctx if isinstance(error, click.UsageError) else None
    usage = f"{context.get_usage()}\n" if context else ""
    hint = f"Run {context.command_path} --help to see what it takes." if context else ""
    what = error.format_message()
    if as_json:
        facts = {"kind": "rejected", "class": "UsageError", "what": what, "where": "", "hint": hint, "facts": {}}
        sys.stdout.write(redactor().mask(json.dumps({"error": facts})) + "\n")
    sys.stderr.write(redactor().mask("\n".join(line for line in (f"{usage}error: {what}", hint) if line)) + "\n")
    return error.exit_code


def _facts(error: BaseException) -> tuple[dict[str, object], int]:
    if isinstance(error, PipelineError):
        facts: dict[str, object] = {
            "kind": error.kind.value,
            "class": type(error).__name__,
            "what": error.what,
            "where": error.where,
            "hint": error.hint or "Run the same command with --log-level debug and read the log file.",
            "facts": error.facts,
        }
        return facts, error.exit_code
    if isinstance(error, KeyboardInterrupt):
        what, hint = "aborted", "Run the same command again: nothing is lost, and nothing is loaded twice."
        return _plain("aborted", error, what, hint), EXIT_ABORTED
    if isinstance(error, Exception):
        log_unless_logged(error)
    what = f"unexpected {type(error).__name__}; this is a defect"
    hint = "The log file (var/logs, or log.folder of the settings) has the places; please report them."
    return _plain("unexpected", error, what, hint), EXIT_FAILURE


def _plain(kind: str, error: BaseException, what: str, hint: str) -> dict[str, object]:
    return {"kind": kind, "class": type(error).__name__, "what": what, "where": "", "hint": hint, "facts": {}}
