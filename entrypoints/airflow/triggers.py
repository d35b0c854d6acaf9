"""Triggers that wait for changes at a source, in Airflow's triggerer: for the sensor, and for assets that start runs.

How a source is looked at is ``watching``'s. Nothing heavy is imported before a trigger runs.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from airflow.triggers.base import BaseEventTrigger, BaseTrigger, TriggerEvent

from entrypoints.airflow.watched import Watched


class WaitTrigger(BaseTrigger):  # type: ignore[misc] # Airflow ships no type information
    """Fires once: when the source has changes, or at the time ``until``, seconds since the epoch, which a triggerer
    that takes over from another keeps too. The other arguments are those of ``Watched``.
    """

    def __init__(self, *, until: float, **watched: Any) -> None:
        super().__init__()
        self._until = until
        self._watched = Watched(**watched)

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Class path and arguments."""
        return f"{__name__}.WaitTrigger", {"until": self._until, **self._watched.arguments}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Look until there is a reason to go on."""
        from entrypoints.airflow.watching import next_changes

        yield TriggerEvent({"reason": await next_changes(self._watched, until=self._until)})


class ChangeTrigger(BaseEventTrigger):  # type: ignore[misc] # Airflow ships no type information
    """Fires whenever the source has new changes, or a service has loaded some, and after some time without. The
    arguments are those of ``Watched``.
    """

    def __init__(self, **watched: Any) -> None:
        super().__init__()
        self._watched = Watched(**watched)

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Class path and arguments."""
        return f"{__name__}.ChangeTrigger", self._watched.arguments

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Look for ever."""
        from contextlib import aclosing

        from entrypoints.airflow.watching import reasons

        async with aclosing(reasons(self._watched)) as found:
            async for reason in found:
                yield TriggerEvent({"reason": reason})
