"""What the tasks of a pipeline's DAG do; imported by a task when it runs, never while DAGs are parsed.

Logging is Airflow's: nothing is configured here.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TypeVar

import structlog
from airflow.sdk.exceptions import AirflowException, AirflowFailException
from airflow.sdk.log import mask_secret

from entrypoints.cli.plain import sync_json, transform_json
from entrypoints.cli.stopping import stopping
from entrypoints.container import opened
from entrypoints.pipeline_file import load_pipeline as read_pipeline
from entrypoints.redaction import Redactor
from entrypoints.settings import load_settings
from pipeline.application.session import Session
from pipeline.application.sync import sync
from pipeline.application.transform import transform_changed
from pipeline.domain.errors import PipelineError

Result = TypeVar("Result")


def load_pipeline(path: Path, config_dir: Path) -> dict[str, object]:
    """A bounded run without marts; returns counts and checkpoint."""
    return _attempt(path, config_dir, _load, needs_source=True)


def transform_pipeline(path: Path, config_dir: Path) -> dict[str, object]:
    """Marts behind what was loaded since they were last built; empty if nothing was."""
    return _attempt(path, config_dir, _transform, needs_source=False)


def _load(session: Session) -> dict[str, object]:
    result = sync(session, with_transform=False)
    if result.stopped:
        raise AirflowException("stopped before the end; the next attempt goes on from the checkpoint")
    return sync_json(result)


def _transform(session: Session) -> dict[str, object]:
    result = transform_changed(session)
    if result is None:
        return {}
    if result.failed:
        names = ", ".join(node.name for node in result.failed)
        raise AirflowFailException(f"dbt reported failures: {names}; the previous marts are still in place")
    return transform_json(result)


def _attempt(path: Path, config_dir: Path, work: Callable[[Session], Result], *, needs_source: bool) -> Result:
    """Do ``work`` in a session. Only errors that may go away by themselves are left to Airflow's retries; no error
    carries along what a driver said (P10).
    """
    redactor = Redactor()
    try:
        with _session(path, config_dir, redactor, needs_source=needs_source) as session:
            return work(session)
    except PipelineError as error:
        message = redactor.mask(str(error))
        failure = AirflowException(message) if error.retries else AirflowFailException(message)
        raise failure from None


@contextmanager
def _session(path: Path, config_dir: Path, redactor: Redactor, *, needs_source: bool) -> Iterator[Session]:
    settings = load_settings(config_dir=config_dir, secrets=redactor.secrets)
    spec = read_pipeline(str(path), settings, needs_source=needs_source, secrets=redactor.secrets).spec
    for secret in redactor.secrets.values:
        mask_secret(secret)
    logger = structlog.get_logger("pipeline").bind(pipeline=spec.name)
    # Signals can only be handled in the main thread; elsewhere Airflow ends the process as it sees fit.
    in_main = threading.current_thread() is threading.main_thread()
    signals = stopping(graceful=True) if in_main else nullcontext(threading.Event())
    with signals as stop, opened(spec, logger=logger, stop=stop) as session:
        yield session
