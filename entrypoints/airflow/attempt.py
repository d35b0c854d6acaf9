"""One attempt of a task: its session, and errors as Airflow's, so that only what may pass by itself is retried.

Logging is Airflow's: nothing is configured here. What is done in a session is ``loading``'s and ``building``'s.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import attrs
import structlog
from airflow.sdk.exceptions import AirflowException, AirflowFailException
from airflow.sdk.log import mask_secret

from entrypoints.airflow.credentials import AirflowEnvironment
from entrypoints.airflow.header import WINDOW, Header, read_header
from entrypoints.cli.stopping import stopping
from entrypoints.container import opened_groups
from entrypoints.logs import describe_exception
from entrypoints.pipeline_file import load_pipeline
from entrypoints.redaction import Redactor
from entrypoints.settings import load_settings
from pipeline.application.session import Session
from pipeline.domain.errors import PipelineError
from pipeline.domain.stream import PipelineSpec
from pipeline.ports.metrics import Metrics

Result = TypeVar("Result")
#: One for each group of a pipeline.
Sessions = tuple[Session, ...]
Prepare = Callable[[PipelineSpec], PipelineSpec]


def _utc(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    utc = moment.astimezone(UTC) if moment.tzinfo else moment
    return utc.replace(tzinfo=None, microsecond=0)


def _unchanged(spec: PipelineSpec) -> PipelineSpec:
    return spec


@attrs.frozen
class Attempt:
    """The task ``task_id`` of the pipeline in the file ``path``; ``context`` is Airflow's. ``group`` is the only one
    that it works on, None for all.
    """

    task_id: str
    path: Path
    config_dir: Path
    context: Mapping[str, Any]
    group: str | None = None

    @property
    def header(self) -> Header:
        """What the DAG was made from."""
        return read_header(self.path)

    def param(self, name: str) -> Any:
        """A param of the run, None if the DAG has none called so."""
        return self.context["params"].get(name)

    def pull(self, task_id: str, *, key: str = "return_value") -> Any:
        """What another task of this run returned, or pushed as ``key``; None if it did not."""
        return self.context["ti"].xcom_pull(task_ids=task_id, key=key)

    def pull_each(self, task_id: str) -> list[Any]:
        """What each instance of a mapped task returned that has succeeded."""
        return [told for told in self.context["ti"].xcom_pull(task_ids=[task_id]) if told is not None]

    @property
    def run_id(self) -> str:
        """The id of the run."""
        return str(self.context["ti"].run_id)

    @property
    def is_another(self) -> bool:
        """Whether the task was tried before in this run."""
        return int(self.context["ti"].try_number) > 1

    @property
    def window(self) -> tuple[str, str] | None:
        """From when until when marts are built again, in UTC as dbt reads it; None if the run's params name no time."""
        given = [self.param(name) for name in WINDOW]
        if given == [None, None]:
            return None
        if None in given:
            raise AirflowFailException(f"a window has two ends: give both {' and '.join(WINDOW)}, or none")
        since, until = (_utc(text) for text in given)
        if since >= until:
            raise AirflowFailException("the window ends before it begins")
        return since.isoformat(), until.isoformat()

    def push(self, key: str, value: object) -> None:
        """Leave a value for other tasks and for people."""
        self.context["ti"].xcom_push(key=key, value=value)

    def within(
        self,
        work: Callable[[Sessions], Result],
        *,
        needs_source: bool = True,
        metrics: tuple[Metrics, ...] = (),
        prepare: Prepare = _unchanged,
    ) -> Result:
        """Do ``work`` in a session for each group of the pipeline, or for ``group`` alone, their specs changed by
        ``prepare``. ``needs_source``: credentials of their sources that are missing or wrong are told before anything
        is done, else where such a source is used. Only errors that may go away by themselves, and what was stopped
        before its end, are left to Airflow's retries; no error carries along what a driver said (P10).
        """
        redactor, stop = Redactor(), threading.Event()
        try:
            with self._session(redactor, stop, needs_source=needs_source, metrics=metrics, prepare=prepare) as sessions:
                return work(sessions)
        except PipelineError as error:
            message = redactor.mask(str(error))
            may_pass = error.retries or stop.is_set()
            failure = AirflowException(message) if may_pass else AirflowFailException(message)
            raise failure from None
        except AirflowException:
            raise
        except Exception as error:
            structlog.get_logger("pipeline").error("task failed", error=describe_exception(error))
            raise AirflowException(f"unexpected {type(error).__name__}; this is a defect") from None

    @contextmanager
    def _session(
        self,
        redactor: Redactor,
        stop: threading.Event,
        *,
        needs_source: bool,
        metrics: tuple[Metrics, ...],
        prepare: Prepare,
    ) -> Iterator[Sessions]:
        environment = AirflowEnvironment()
        settings = load_settings(config_dir=self.config_dir, environment=environment, secrets=redactor.secrets)
        file = load_pipeline(
            str(self.path),
            settings,
            needs_source=needs_source,
            group=self.group,
            environment=environment,
            secrets=redactor.secrets,
        )
        for secret in redactor.secrets.values:
            mask_secret(secret)
        logger = structlog.get_logger("pipeline").bind(pipeline=file.spec.name)
        # Signals can only be handled in the main thread; elsewhere Airflow ends the process as it sees fit.
        in_main = threading.current_thread() is threading.main_thread()
        signals = stopping(graceful=True, stop=stop) if in_main else nullcontext(stop)
        gaps = None if needs_source else file.source_gaps
        groups = [prepare(spec) for spec in file.groups if self.group in {None, spec.group}]
        if not groups:
            raise AirflowFailException(f"the file has no group {self.group} any more; start another run")
        with signals, opened_groups(groups, logger=logger, stop=stop, metrics=metrics, gaps=gaps) as sessions:
            yield sessions
