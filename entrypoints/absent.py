"""A source that cannot be named just now, for commands that need none.

Whether a command may go on without its source is the command's decision.
"""

from __future__ import annotations

from typing import NoReturn

from pipeline.domain.errors import ConfigError


class AbsentSource:
    """Stands in for a source whose connection is not configured, or wrongly; every use but ``close`` raises
    ``ConfigError`` with what is missing.
    """

    def __init__(self, name: str, *, reason: str, hint: str) -> None:
        self.name = name
        self._reason = reason
        self._hint = hint

    def close(self) -> None:
        """Nothing is open."""

    def __getattr__(self, name: str) -> NoReturn:
        if name.startswith("__"):
            raise AttributeError(name)
        raise ConfigError(self._reason, where=f"source {self.name}", hint=self._hint)
