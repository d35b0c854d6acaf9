"""One attempt of a task: its session, and errors as Airflow's, so that only what may pass by itself is retried.

Logging is Airflow's: nothing is configured here. What is done in a session is ``loading``'s and ``building``'s.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any, TypeVar

import attrs
import structlog
from airflow.sdk.exceptions import AirflowException, AirflowFailException
from airflow.sdk.log import mask_secret

from entrypoints.airflow.credentials import AirflowEnvironment
from entrypoints.airflow.header import Header, read_header
from entrypoints.cli.stopping import stopping
from entrypoints.container import opened
from entrypoints.pipeline_file import load_pipeline
from entrypoints.redaction import Redactor
from entrypoints.settings import load_settings
from pipeline.application.session import Session
from pipeline.domain.errors import PipelineError
from pipeline.domain.stream import PipelineSpec
from pipeline.ports.metrics import Metrics

Result = TypeVar("Result")
Prepare = Callable[[PipelineSpec], PipelineSpec]


def _unchanged(spec: PipelineSpec) -> PipelineSpec:
    return spec


@attrs.frozen
class Attempt:
    """The task ``task_id`` of the pipeline in the file ``path``; ``context`` is Airflow's."""

    task_id: str
    path: Path
    config_dir: Path
    context: Mapping[str, Any]

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

    def push(self, key: str, value: object) -> None:
        """Leave a value for other tasks and for people."""
        self.context["ti"].xcom_push(key=key, value=value)

    def within(
        self,
        work: Callable[[Session], Result],
        *,
        needs_source: bool = True,
        metrics: tuple[Metrics, ...] = (),
        prepare: Prepare = _unchanged,
    ) -> Result:
        """Do ``work`` in a session of the pipeline, its spec changed by ``prepare``. Only errors that may go away by
        themselves are left to Airflow's retries; no error carries along what a driver said (P10).
        """
        redactor = Redactor()
        try:
            with self._session(redactor, needs_source=needs_source, metrics=metrics, prepare=prepare) as session:
                return work(session)
        except PipelineError as error:
            message = redactor.mask(str(error))
            failure = AirflowException(message) if error.retries else AirflowFailException(message)
            raise failure from None

    @contextmanager
    def _session(
        self, redactor: Redactor, *, needs_source: bool, metrics: tuple[Metrics, ...], prepare: Prepare
    ) -> Iterator[Session]:
        environment = AirflowEnvironment()
        settings = load_settings(config_dir=self.config_dir, environment=environment, secrets=redactor.secrets)
        file = load_pipeline(
            str(self.path), settings, needs_source=needs_source, environment=environment, secrets=redactor.secrets
        )
        for secret in redactor.secrets.values:
            mask_secret(secret)
        logger = structlog.get_logger("pipeline").bind(pipeline=file.spec.name)
        # Signals can only be handled in the main thread; elsewhere Airflow ends the process as it sees fit.
        in_main = threading.current_thread() is threading.main_thread()
        signals = stopping(graceful=True) if in_main else nullcontext(threading.Event())
        with signals as stop, opened(prepare(file.spec), logger=logger, stop=stop, metrics=metrics) as session:
            yield session
