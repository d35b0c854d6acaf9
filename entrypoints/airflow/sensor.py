"""The sensor before a load: waits for changes without keeping a worker, and no longer than it is told.

A run that somebody started by hand, or that changes have started, does not wait.
"""

from __future__ import annotations

import time
from typing import Any

from airflow.sdk import BaseOperator

from entrypoints.airflow.triggers import WaitTrigger
from entrypoints.airflow.watched import Watched

#: How runs start that have something to wait for.
_WAITING_RUNS = {"scheduled"}


class ChangeSensor(BaseOperator):  # type: ignore[misc] # Airflow ships no type information
    """Succeeds when the source that is ``watched`` has changes, or ``wait_s`` seconds later."""

    def __init__(self, *, watched: Watched, **options: Any) -> None:
        super().__init__(**options)
        self._watched = watched

    def execute(self, context: Any) -> str:
        """Look once; where nothing waits to be loaded, hand over to the triggerer. Gives the reason to go on.

        What somebody has to mend waits as long: otherwise a schedule of runs that follow each other at once would be
        one of failures that do.
        """
        run_type = str(getattr(context["dag_run"].run_type, "value", context["dag_run"].run_type))
        if run_type not in _WAITING_RUNS:
            return run_type
        if self._has_changes():
            return "changes"
        until = time.time() + self._watched.wait_s
        self.defer(trigger=WaitTrigger(until=until, **self._watched.arguments), method_name="execute_complete")
        raise AssertionError  # deferring has left already

    def execute_complete(self, context: Any, event: dict[str, str]) -> str:
        """Go on for the trigger's reason."""
        return event["reason"]

    def _has_changes(self) -> bool:
        from entrypoints.airflow.watching import CHANGES, Watch

        watch = Watch(self._watched)
        try:
            return watch.look() == CHANGES
        finally:
            watch.close()
