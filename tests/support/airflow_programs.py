"""What tests have done within Airflow's own process (``dag_runner``): functions of plain values.

Airflow is imported inside, since pytest collects the modules that name this one.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any


def credentials(name: str) -> list[object]:
    """The source's DSN and the warehouse's options of a pipeline, its references resolved as a task does."""
    from entrypoints.airflow.credentials import AirflowEnvironment
    from entrypoints.pipeline_file import load_pipeline
    from entrypoints.settings import load_settings

    environment = AirflowEnvironment()
    spec = load_pipeline(name, load_settings(environment=environment), environment=environment).spec
    return [spec.source.options["dsn"], dict(spec.warehouse.options)]


def load_fails(name: str, resync: Sequence[str] = ()) -> list[object]:
    """How often the task ``load`` of a pipeline is tried; whether its failure forbids that, its cause and its text.
    The run is to copy ``resync`` again.
    """
    from entrypoints.airflow.factory import build_dags
    from entrypoints.airflow.graph import perform

    retries = build_dags()[name].get_task("load").retries
    context = {"params": {"resync": list(resync)}, "ti": _instance({})}
    return [retries, *_failure(lambda: perform("load", *_paths(name), group=name, **context))]


def anything_fails(name: str, canary: str) -> list[object]:
    """The same of an error that nobody thought of, which quotes ``canary``."""
    from entrypoints.airflow.attempt import Attempt

    path, config_dir = _paths(name)

    def work(_: object) -> None:
        raise ValueError(canary)

    return _failure(lambda: Attempt("load", Path(path), Path(config_dir), {"ti": _instance({})}).within(work))


def stopped(name: str) -> list[object]:
    """The same of a task that Airflow tells to stop in the middle of something that cannot be kept half done."""
    from entrypoints.airflow.attempt import Attempt, Sessions
    from pipeline.application.copying import Interrupted

    path, config_dir = _paths(name)

    def work(sessions: Sessions) -> None:
        signal.raise_signal(signal.SIGTERM)
        assert sessions[0].stop.is_set()
        raise Interrupted("stopped")

    return _failure(lambda: Attempt("verify", Path(path), Path(config_dir), {"ti": _instance({})}).within(work))


def load_again(name: str, loads_before: dict[str, int]) -> dict[str, Any]:
    """Do the task ``load`` as its second attempt; the extras of the asset events that it gives, by asset."""
    from airflow.sdk import AssetAlias
    from airflow.sdk.execution_time.context import OutletEventAccessors

    from entrypoints.airflow.graph import perform

    events = OutletEventAccessors()
    instance = _instance({("decide", "loads_before"): loads_before}, try_number=2)
    perform("load", *_paths(name), group=name, params={}, ti=instance, outlet_events=events)
    told = events[AssetAlias(f"{name}/staging")].asset_alias_events
    return {event.dest_asset_key.name: dict(event.extra) for event in told}


def sense(name: str) -> list[object]:
    """What the sensor of a pipeline makes of runs that are started in different ways; when it defers, the trigger."""
    from airflow.sdk.exceptions import TaskDeferred

    from entrypoints.airflow.sensor import ChangeSensor
    from entrypoints.airflow.watched import Watched

    path, config_dir = _paths(name)
    sensor = ChangeSensor(task_id="wait", watched=Watched(path, config_dir, poll_s=1.0, wait_s=60.0))

    def started_by(run_type: str) -> object:
        try:
            return sensor.execute({"dag_run": SimpleNamespace(run_type=run_type)})
        except TaskDeferred as deferred:
            return [*deferred.trigger.serialize(), deferred.method_name]

    waited = [started_by(run_type) for run_type in ("manual", "asset_triggered", "scheduled")]
    return [*waited, sensor.execute_complete({}, {"reason": "age"})]


def task_is_gone() -> None:
    """Tell people of a task as Airflow does where the process is gone and no error was seen."""
    from entrypoints.airflow.callbacks import failed

    failed({"ti": _instance({}, try_number=3)})


def _paths(name: str) -> tuple[str, str]:
    folder = Path(os.environ["PIPELINE_CONFIG_DIR"])
    return str(folder / "pipelines" / f"{name}.yaml"), str(folder)


def _instance(pushed: dict[tuple[str, str], object], *, try_number: int = 1) -> SimpleNamespace:
    """As much of a task instance as tasks ask for."""
    return SimpleNamespace(
        task_id="load",
        dag_id="notes",
        run_id="scheduled__2026-01-01T00:00:00+00:00",
        try_number=try_number,
        map_index=1,
        xcom_pull=lambda task_ids, key: pushed.get((task_ids, key)),
    )


def _failure(work: Callable[[], object]) -> list[object]:
    from airflow.sdk.exceptions import AirflowFailException

    try:
        work()
    except Exception as error:
        return [isinstance(error, AirflowFailException), repr(error.__cause__), str(error)]
    raise AssertionError("it did not fail")
