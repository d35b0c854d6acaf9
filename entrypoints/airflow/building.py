"""The tasks behind a load: build marts layer by layer, compare a slice with the source, tell who waits for marts.

What was loaded is ``loading``'s.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs
from airflow.sdk import AssetAlias
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from entrypoints.airflow.attempt import Attempt, Sessions
from entrypoints.airflow.graph import LOAD, build_tasks
from entrypoints.airflow.header import Header
from entrypoints.airflow.loading import Checkpoints, checkpoints_of, tell_of_tables
from entrypoints.airflow.metering import LoadMeter, loads_of
from entrypoints.airflow.scheduling import MARTS, STAGING, table_asset
from entrypoints.cli.plain import plain, verify_json
from pipeline.application.groups import verify_groups
from pipeline.application.transform import Pending, build, pending_transform
from pipeline.domain.stream import PipelineSpec
from pipeline.ports.transformer import TransformResult

#: dbt's own variable: tests that need a model of a later layer run with that layer.
_BUILDABLE = {"DBT_INDIRECT_SELECTION": "buildable"}
#: dbt's own too: https://docs.getdbt.com/docs/build/incremental-microbatch#backfills
_WINDOW = ("DBT_EVENT_TIME_START", "DBT_EVENT_TIME_END")
#: What dbt's own convention calls models that are only steps on the way to marts.
_STEPS = ("stg_", "int_")


def build_marts(attempt: Attempt) -> dict[str, object]:
    """Build this task's layer of what changed since marts were last built; the last layer settles it. Gives what was
    pending, the models that were built with their rows, and how many tests there were.
    """
    header, task_id = attempt.header, attempt.task_id
    ids = build_tasks(header)
    layer = dict(zip(ids, header.orchestration.layers, strict=False)).get(task_id)
    first = attempt.pull(ids[0]) if task_id != ids[0] else None
    window = attempt.window
    full_refresh = bool(attempt.param("full_refresh"))

    def work(sessions: Sessions) -> tuple[Pending | None, TransformResult | None]:
        pending = _pending(sessions, first, everything=full_refresh or window is not None)
        if pending is None:
            return None, None
        return pending, build(sessions, pending, full_refresh=full_refresh, settles=task_id == ids[-1])

    pending, result = attempt.within(
        work, needs_source=False, prepare=lambda spec: _within(_of_layer(spec, header, layer), window)
    )
    if result is None:
        return {"pending": None, "models": {}, "test_count": 0}
    if result.failed:
        names = ", ".join(node.name for node in result.failed)
        raise AirflowFailException(f"dbt reported failures: {names}; the previous marts are still in place")
    return {
        "pending": plain(pending),
        "models": {node.name: node.rows for node in result.nodes if node.kind == "model" and node.status == "success"},
        "test_count": sum(node.kind == "test" for node in result.nodes),
    }


def _pending(sessions: Sessions, first: Mapping[str, Any] | None, *, everything: bool) -> Pending | None:
    """What the run builds, as its first layer found it."""
    if first is not None:
        found = first["pending"]
        return None if found is None else Pending(found["streams"] and tuple(found["streams"]), found["loads"])
    if not everything:
        return pending_transform(sessions)
    loads = loads_of(sessions)
    return Pending(None, loads) if loads else None


def _within(spec: PipelineSpec, window: tuple[str, str] | None) -> PipelineSpec:
    """The pipeline with dbt told of a window, for models that know of time (``incremental_strategy: microbatch``)."""
    if window is None or spec.transform is None:
        return spec
    given = spec.transform.options.get("environment")
    environment = {**(given if isinstance(given, Mapping) else {}), **dict(zip(_WINDOW, window, strict=True))}
    options = {**spec.transform.options, "environment": environment}
    return attrs.evolve(spec, transform=attrs.evolve(spec.transform, options=options))


def _of_layer(spec: PipelineSpec, header: Header, layer: str | None) -> PipelineSpec:
    """The pipeline with only one folder of its dbt project selected."""
    if layer is None or spec.transform is None:
        return spec
    project = spec.transform.options.get("project")
    if isinstance(project, str):
        _refuse_missing(Path(project) / "models", header.orchestration.layers)
    own = spec.transform.options.get("select")
    chosen = own.split() if isinstance(own, str) else list(own) if isinstance(own, list) else []
    folder = f"path:models/{layer}"
    given = spec.transform.options.get("environment")
    options = {
        **spec.transform.options,
        "select": [f"{part},{folder}" for part in chosen] or [folder],
        "environment": {**(given if isinstance(given, Mapping) else {}), **_BUILDABLE},
    }
    return attrs.evolve(spec, transform=attrs.evolve(spec.transform, options=options))


def _refuse_missing(models: Path, layers: tuple[str, ...]) -> None:
    """Every folder of models has to be in a layer: what is in none would never be built."""
    left_out = sorted(
        folder.name
        for folder in models.iterdir()
        if folder.is_dir() and not any(layer.partition("/")[0] == folder.name for layer in layers)
    )
    if left_out:
        raise AirflowFailException(f"airflow.layers leaves out {', '.join(left_out)} of {models}; name every folder")


def compare(attempt: Attempt) -> dict[str, object]:
    """Compare streams with the source: those of the file, or one that the run's id draws, of groups that the run was
    able to load. What had to be loaded for it counts as loaded. Skipped where the run has loaded nothing.
    """
    wanted, loads = attempt.header.orchestration, attempt.pull_each(LOAD)
    held = {stream for loaded in loads for stream in loaded["holds"]}
    streams = [stream for stream in wanted.verify if stream in held]
    if not streams or not any(loaded["rows"] for loaded in loads):
        raise AirflowSkipException("nothing was loaded that could differ")
    drawn = [streams[zlib.crc32(attempt.run_id.encode()) % len(streams)]] if wanted.rotates else streams
    meter = LoadMeter()

    def work(sessions: Sessions) -> tuple[dict[str, object], Checkpoints]:
        verdict = verify_json(verify_groups(sessions, drawn))
        return verdict, checkpoints_of(sessions)

    verdict, checkpoints = attempt.within(work, needs_source=False, metrics=(meter,))
    if not verdict["equal"]:
        raise AirflowFailException(
            "source and warehouse differ; load the rows again with: "
            f"python -m entrypoints.cli verify {attempt.header.name} --repair"
        )
    tell_of_tables(attempt, meter, checkpoints)
    return verdict


def publish(attempt: Attempt) -> list[str]:
    """Give every mart that was built an asset event, and every staging table that a service loaded; gives the marts'
    names.
    """
    header = attempt.header
    built = [attempt.pull(task_id) or {} for task_id in build_tasks(header)]
    loads = attempt.pull_each(LOAD)
    pending = built[-1].get("pending") or {}
    facts = {
        "load": max(pending["loads"].values()) if pending else None,
        "position": {group: at["position"] for each in loads for group, at in each["checkpoints"].items()} or None,
        "lag_s": max((each["lag_s"] for each in loads if each["lag_s"] is not None), default=None),
    }
    outlets = attempt.context["outlet_events"]
    models = {name: rows for layer in built for name, rows in layer.get("models", {}).items()}
    marts = {name: rows for name, rows in models.items() if not name.startswith(_STEPS)}
    for name, row_count in marts.items():
        mart = table_asset(header.name, MARTS, name)
        outlets[AssetAlias(f"{header.name}/{MARTS}")].add(mart, extra={"row_count": row_count, **facts})
    if not loads and pending:
        for stream in pending["streams"] or [name for name, _ in header.streams]:
            table = table_asset(header.name, STAGING, stream)
            outlets[AssetAlias(f"{header.name}/{STAGING}")].add(table, extra={"row_count": None, **facts})
    return list(marts)
