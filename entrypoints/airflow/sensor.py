"""The sensor before a load: waits for changes without keeping a worker, and no longer than it is told.

A run that somebody started by hand, or that changes have started, does not wait.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from airflow.sdk import BaseOperator

from entrypoints.airflow.triggers import WaitTrigger

#: How runs start that have something to wait for.
_WAITING_RUNS = {"scheduled"}


class ChangeSensor(BaseOperator):  # type: ignore[misc] # Airflow ships no type information
    """Succeeds when the source of the pipeline file ``path`` has changes, or ``wait_s`` seconds later."""

    def __init__(self, *, path: str, config_dir: str, poll_s: float, wait_s: float, **options: Any) -> None:
        super().__init__(**options)
        self.path = path
        self.config_dir = config_dir
        self.poll_s = poll_s
        self.wait_s = wait_s

    def execute(self, context: Any) -> str | None:
        """Look once; where nothing is to be done, hand over to the triggerer. Gives the reason to go on."""
        run_type = str(getattr(context["dag_run"].run_type, "value", context["dag_run"].run_type))
        if run_type not in _WAITING_RUNS:
            return run_type
        reason = self._reason()
        if reason is None:
            self.defer(
                trigger=WaitTrigger(self.path, self.config_dir, self.poll_s, self.wait_s),
                method_name="execute_complete",
            )
        return reason

    def execute_complete(self, context: Any, event: dict[str, str]) -> str:
        """Go on for the trigger's reason."""
        return event["reason"]

    def _reason(self) -> str | None:
        from entrypoints.airflow.watching import Watch

        watch = Watch(Path(self.path), Path(self.config_dir))
        try:
            return watch.look()
        finally:
            watch.close()
