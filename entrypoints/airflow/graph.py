"""The tasks of a pipeline's DAG and their order; what they do is in ``tasks``.

Nothing of that is imported while DAGs are parsed.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs

from entrypoints.airflow.header import Header
from entrypoints.schedule import ScheduleKind

if TYPE_CHECKING:
    from airflow.sdk import BaseOperator

WAIT, DECIDE, LOAD, CHECK, BUILD, VERIFY, PUBLISH = "wait", "decide", "load", "check", "build", "verify", "publish"


def build_tasks(header: Header) -> tuple[str, ...]:
    """The ids of the tasks that run dbt, in order: one for each layer, or one for all of it."""
    if not header.has_transform:
        return ()
    return tuple(f"{BUILD}_{layer.replace('/', '_')}" for layer in header.orchestration.layers) or (BUILD,)


def after_load(header: Header) -> str:
    """The id of the task that follows where nothing is to be loaded."""
    return next(iter(build_tasks(header)), CHECK)


def add_tasks(header: Header, config_dir: Path) -> None:
    """Add them to the DAG that is being made."""
    from airflow.sdk import TriggerRule

    tasks = _Tasks(header, config_dir)
    decide = tasks.branch(DECIDE)
    loaded = tasks.step(LOAD, trigger_rule=TriggerRule.NONE_FAILED_MIN_ONE_SUCCESS, outlets=tasks.alias("staging"))
    checked = tasks.step(CHECK)
    if _waits(header):
        tasks.wait() >> decide
    decide >> loaded >> checked
    last = checked
    for task_id in build_tasks(header):
        last = tasks.follow(last, tasks.step(task_id))
    if header.orchestration.verify and not header.orchestration.service:
        last = tasks.follow(last, tasks.step(VERIFY))
    if header.has_transform:
        tasks.follow(last, tasks.step(PUBLISH, outlets=tasks.alias("marts")))


def _waits(header: Header) -> bool:
    """Whether runs start by themselves at times when there may be nothing to load."""
    starts = header.schedule.kind in {ScheduleKind.CRON, ScheduleKind.EVERY, ScheduleKind.CONTINUOUS}
    return starts and header.orchestration.wait_s > 0 and not header.orchestration.service


@attrs.frozen
class _Tasks:
    """Makes the tasks of one DAG."""

    header: Header
    config_dir: Path

    def step(self, task_id: str, **options: Any) -> BaseOperator:
        """A task that does what ``tasks`` has under its id."""
        from airflow.providers.standard.operators.python import PythonOperator

        return PythonOperator(task_id=task_id, python_callable=perform, op_args=self._arguments(task_id), **options)

    def wait(self) -> BaseOperator:
        """The task that waits for changes."""
        from entrypoints.airflow.sensor import ChangeSensor

        wanted = self.header.orchestration
        return ChangeSensor(
            task_id=WAIT,
            path=str(self.header.path),
            config_dir=str(self.config_dir),
            poll_s=wanted.poll_s,
            wait_s=wanted.wait_s,
        )

    def branch(self, task_id: str) -> BaseOperator:
        """A task whose outcome is which tasks follow."""
        from airflow.providers.standard.operators.python import BranchPythonOperator

        return BranchPythonOperator(task_id=task_id, python_callable=perform, op_args=self._arguments(task_id))

    def follow(self, before: BaseOperator, task: BaseOperator) -> BaseOperator:
        """Put ``task`` behind ``before``."""
        before >> task
        return task

    def alias(self, schema: str) -> list[Any]:
        """The outlet whose events are given at run time: those of the tables that changed."""
        from airflow.sdk import AssetAlias

        return [AssetAlias(f"{self.header.name}/{schema}")]

    def _arguments(self, task_id: str) -> list[str]:
        return [task_id, str(self.header.path), str(self.config_dir)]


def perform(task_id: str, path: str, config_dir: str, **context: Any) -> object:
    """Do the work of a task; see ``tasks``."""
    from entrypoints.airflow.tasks import work

    return work(task_id, Path(path), Path(config_dir), context=context)
