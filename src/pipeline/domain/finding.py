"""What ``doctor`` and ``plan`` found: statements about a system, each with what to do next."""

from __future__ import annotations

from enum import Enum

import attrs


class Level(Enum):
    """How much a finding matters: information, a warning, or a reason why a run would be refused."""

    OK = "ok"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


@attrs.frozen
class Finding:
    """One observation. ``check`` is a stable identifier (``wal_level``), ``where`` the object, ``hint`` the remedy."""

    level: Level
    check: str
    what: str
    where: str = ""
    hint: str = ""
