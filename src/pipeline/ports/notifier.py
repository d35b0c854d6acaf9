"""The port to people: alerts that someone has to act on."""

from __future__ import annotations

from typing import Protocol

from pipeline.domain.finding import Finding


class Notifier(Protocol):
    """Delivers alerts. Called by use cases when a run fails or a limit is passed; must never raise."""

    def notify(self, finding: Finding, *, pipeline: str) -> None:
        """Tell people about ``finding``. The same finding may come again; delivering it once is the adapter's care."""
        ...
