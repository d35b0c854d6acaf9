"""Alerts as log lines, for runs that nobody has connected to anything else.

Which findings are worth an alert is the use cases' decision.
"""

from __future__ import annotations

import contextlib
from typing import Protocol

from pipeline.domain.finding import Finding, Level


class AlertLogger(Protocol):
    """What is needed of a logger: structlog's and the like have it."""

    def error(self, event: str, **facts: object) -> object:
        """Write one line of level error."""
        ...

    def warning(self, event: str, **facts: object) -> object:
        """Write one line of level warning."""
        ...


class LogNotifier:
    """Writes each distinct finding of a pipeline once for as long as the process lives."""

    def __init__(self, logger: AlertLogger) -> None:
        self._logger = logger
        self._told: set[tuple[str, str, str, str]] = set()

    def notify(self, finding: Finding, *, pipeline: str) -> None:
        """Write the finding, unless it was written before. Never raises."""
        identity = (pipeline, finding.check, finding.where, finding.what)
        if identity in self._told:
            return
        self._told.add(identity)
        write = self._logger.error if finding.level is Level.ERROR else self._logger.warning
        with contextlib.suppress(Exception):  # the port forbids raising, and there is nobody left to tell
            write(
                "alert raised",
                pipeline=pipeline,
                check=finding.check,
                where=finding.where,
                what=finding.what,
                hint=finding.hint,
            )
