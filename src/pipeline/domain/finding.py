"""What ``doctor`` and ``plan`` found: statements about a system, each with what to do next."""

from __future__ import annotations

from enum import Enum

import attrs

from pipeline.domain.errors import ErrorKind, PipelineError


class Level(Enum):
    """How much a finding matters: information, a warning, or a reason why a run would be refused."""

    OK = "ok"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


@attrs.frozen
class Finding:
    """One observation. ``check`` is a stable identifier (``wal_level``), ``where`` the object, ``hint`` the remedy;
    ``unreachable`` marks the error of a system that did not answer, so that trying again may help.
    """

    level: Level
    check: str
    what: str
    where: str = ""
    hint: str = ""
    unreachable: bool = False

    @classmethod
    def of(cls, error: PipelineError, check: str, *, where: str = "") -> Finding:
        """What ``error`` says, found by ``check``; ``where`` takes the place of the error's own."""
        return cls(
            Level.ERROR,
            check,
            error.what,
            where=where or error.where,
            hint=error.hint,
            unreachable=error.kind is ErrorKind.UNREACHABLE,
        )
