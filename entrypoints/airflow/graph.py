"""The tasks of a pipeline's DAG and their order; what they do is in ``tasks``.

Nothing of that is imported while DAGs are parsed.
"""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs

from entrypoints.airflow.header import Header
from entrypoints.airflow.scheduling import MARTS, STAGING
from entrypoints.airflow.watched import Watched
from entrypoints.schedule import ScheduleKind

if TYPE_CHECKING:
    from airflow.sdk import BaseOperator
    from airflow.sdk.definitions.mappedoperator import MappedOperator

WAIT, DECIDE, APPROVE, LOAD, CHECK = "wait", "decide", "approve", "load", "check"
BUILD, VERIFY, PUBLISH = "build", "verify", "publish"
ALL_LOADED = "all_loaded"

#: Tasks that leave the warehouse alone, and so do not wait for a slot of its pool.
_ELSEWHERE = {CHECK, PUBLISH}
_ASKS_AGAIN = 5


def build_tasks(header: Header) -> tuple[str, ...]:
    """The ids of the tasks that run dbt, in order: one for each layer, or one for all of it."""
    if not header.has_transform:
        return ()
    return tuple(f"{BUILD}_{layer.replace('/', '_')}" for layer in header.orchestration.layers) or (BUILD,)


def add_tasks(header: Header, config_dir: Path) -> None:
    """Add them to the DAG that is being made."""
    from airflow.sdk import TriggerRule

    tasks, wanted = _Tasks(header, config_dir), header.orchestration
    joined = {"trigger_rule": TriggerRule.NONE_FAILED_MIN_ONE_SUCCESS}
    decide = tasks.branch(DECIDE)
    if _waits(header):
        tasks.wait() >> decide
    loaded = tasks.load(**joined)
    decide >> loaded
    if wanted.approve:
        decide >> tasks.approval() >> loaded
    # What some groups loaded is good, whatever became of the others; that they failed is told by the run in the end.
    last = tasks.follow(loaded, tasks.step(CHECK, trigger_rule=TriggerRule.ALL_DONE_MIN_ONE_SUCCESS))
    loaded >> tasks.all_loaded()
    for task_id in build_tasks(header):
        is_joined = wanted.service and task_id == build_tasks(header)[0]
        last = tasks.follow(last, tasks.step(task_id, **(joined if is_joined else {})))
        if is_joined:
            decide >> last
    built = last
    if wanted.verify and not wanted.service:
        last = tasks.follow(last, tasks.step(VERIFY, outlets=tasks.aliases(STAGING)))
    if header.has_transform:
        # Of marts that were built is told also where there was nothing to compare.
        told = tasks.follow(built, tasks.step(PUBLISH, outlets=tasks.aliases(STAGING, MARTS), **joined))
        if last is not built:
            last >> told


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

        return PythonOperator(
            task_id=task_id,
            python_callable=perform,
            op_args=self._arguments(task_id),
            **(options if task_id in _ELSEWHERE else {**self._pooled, **options}),
        )

    def load(self, **options: Any) -> MappedOperator:
        """The task that loads, mapped over the groups: a source with a log, or a stream of another, each by itself."""
        from airflow.providers.standard.operators.python import PythonOperator

        return PythonOperator.partial(
            task_id=LOAD,
            python_callable=perform,
            op_args=self._arguments(LOAD),
            map_index_template="{{ task.op_kwargs['group'] }}",
            max_active_tis_per_dagrun=self.header.at_once,
            outlets=self.aliases(STAGING),
            **self._pooled,
            **options,
        ).expand(op_kwargs=[{"group": group} for group in self.header.groups])

    def all_loaded(self) -> BaseOperator:
        """A task that nobody has to do: it succeeds if every group was loaded, and else fails the run without a word,
        since people were told already.
        """
        from airflow.providers.standard.operators.empty import EmptyOperator

        return EmptyOperator(task_id=ALL_LOADED)

    def wait(self) -> BaseOperator:
        """The task that waits for changes."""
        from entrypoints.airflow.sensor import ChangeSensor

        return ChangeSensor(task_id=WAIT, watched=Watched.of(self.header, self.config_dir))

    def branch(self, task_id: str) -> BaseOperator:
        """A task whose outcome is which tasks follow."""
        from airflow.providers.standard.operators.python import BranchPythonOperator

        return BranchPythonOperator(
            task_id=task_id, python_callable=perform, op_args=self._arguments(task_id), **self._pooled
        )

    def follow(self, before: BaseOperator | MappedOperator, task: BaseOperator) -> BaseOperator:
        """Put ``task`` behind ``before``."""
        before >> task
        return task

    def approval(self) -> BaseOperator:
        """A task that waits for a person; a refusal skips all that follows."""
        from airflow.providers.standard.operators.hitl import ApprovalOperator

        return ApprovalOperator(
            task_id=APPROVE,
            subject=f"The pipeline {self.header.name} asks before it goes on",
            body=f"{{{{ ti.xcom_pull(task_ids='{DECIDE}', key='risks') }}}}",
            ignore_downstream_trigger_rules=True,
            execution_timeout=None,
            # Airflow 3.3 may take an answer within the first second for the death of the task: then it asks again.
            retries=_ASKS_AGAIN,
            retry_delay=timedelta(seconds=1),
            retry_exponential_backoff=0,
        )

    def aliases(self, *schemas: str) -> list[Any]:
        """The outlets whose events are given at run time: those of the tables that changed."""
        from airflow.sdk import AssetAlias

        return [AssetAlias(f"{self.header.name}/{schema}") for schema in schemas]

    @property
    def _pooled(self) -> dict[str, str]:
        pool = self.header.orchestration.pool
        return {} if pool is None else {"pool": pool}

    def _arguments(self, task_id: str) -> list[str]:
        return [task_id, str(self.header.path), str(self.config_dir)]


def perform(task_id: str, path: str, config_dir: str, *, group: str | None = None, **context: Any) -> object:
    """Do the work of a task, for one group where it names one; see ``tasks``."""
    from entrypoints.airflow.tasks import work

    return work(task_id, Path(path), Path(config_dir), group=group, context=context)
