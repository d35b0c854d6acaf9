"""Triggers that wait for changes at a source, in Airflow's triggerer: for the sensor, and for assets that start runs.

How a source is looked at is ``watching``'s. Nothing heavy is imported before a trigger runs.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from airflow.triggers.base import BaseEventTrigger, BaseTrigger, TriggerEvent


class WaitTrigger(BaseTrigger):  # type: ignore[misc] # Airflow ships no type information
    """Fires once: when the source has changes, or when ``wait_s`` seconds are over."""

    def __init__(self, path: str, config_dir: str, poll_s: float, wait_s: float) -> None:
        super().__init__()
        self._arguments: dict[str, Any] = {
            "path": path,
            "config_dir": config_dir,
            "poll_s": poll_s,
            "wait_s": wait_s,
        }

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Class path and arguments."""
        return f"{__name__}.WaitTrigger", self._arguments

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Look until there is a reason to go on."""
        from entrypoints.airflow.watching import reasons

        async for reason in reasons(**self._arguments):
            yield TriggerEvent({"reason": reason})
            return


class ChangeTrigger(BaseEventTrigger):  # type: ignore[misc] # Airflow ships no type information
    """Fires whenever the source has new changes, or a service has loaded some, and after ``wait_s`` seconds without."""

    def __init__(self, path: str, config_dir: str, poll_s: float, wait_s: float, *, behind_service: bool) -> None:
        super().__init__()
        self._arguments: dict[str, Any] = {
            "path": path,
            "config_dir": config_dir,
            "poll_s": poll_s,
            "wait_s": wait_s,
            "behind_service": behind_service,
        }

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Class path and arguments."""
        return f"{__name__}.ChangeTrigger", self._arguments

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Look for ever."""
        from entrypoints.airflow.watching import reasons

        async for reason in reasons(**self._arguments):
            yield TriggerEvent({"reason": reason})
