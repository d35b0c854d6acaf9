"""The tasks behind a load: build marts layer by layer, compare a slice with the source, tell who waits for marts.

What was loaded is ``loading``'s.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs
from airflow.sdk import AssetAlias
from airflow.sdk.exceptions import AirflowFailException

from entrypoints.airflow.attempt import Attempt
from entrypoints.airflow.graph import LOAD, build_tasks
from entrypoints.airflow.header import Header
from entrypoints.airflow.scheduling import MARTS, STAGING, table_asset
from entrypoints.cli.plain import transform_json, verify_json
from pipeline.application.session import Session
from pipeline.application.transform import Pending, build, pending_transform
from pipeline.application.verify import verify
from pipeline.domain.stream import PipelineSpec
from pipeline.ports.transformer import TransformResult

#: dbt's own variable: tests that need a model of a later layer run with that layer.
_BUILDABLE = {"DBT_INDIRECT_SELECTION": "buildable"}


def build_marts(attempt: Attempt) -> dict[str, object]:
    """Build this task's layer of what changed since marts were last built; the last layer settles it."""
    header, task_id = attempt.header, attempt.task_id
    ids = build_tasks(header)
    layer = dict(zip(ids, header.orchestration.layers, strict=False)).get(task_id)
    first = attempt.pull(ids[0]) if task_id != ids[0] else None
    full_refresh = bool(attempt.param("full_refresh"))

    def work(session: Session) -> tuple[Pending | None, TransformResult | None]:
        pending = _pending(session, first, everything=full_refresh)
        if pending is None:
            return None, None
        return pending, build([session], pending, full_refresh=full_refresh, settles=task_id == ids[-1])

    pending, result = attempt.within(work, needs_source=False, prepare=lambda spec: _of_layer(spec, header, layer))
    if result is not None and result.failed:
        names = ", ".join(node.name for node in result.failed)
        raise AirflowFailException(f"dbt reported failures: {names}; the previous marts are still in place")
    told = transform_json(result) if result is not None else {}
    return {"pending": attrs.asdict(pending) if pending is not None else None, **told}


def _pending(session: Session, first: Mapping[str, Any] | None, *, everything: bool) -> Pending | None:
    """What the run builds, as its first layer found it."""
    if first is not None:
        found = first["pending"]
        return None if found is None else Pending(found["streams"] and tuple(found["streams"]), found["loads"])
    if not everything:
        return pending_transform([session])
    checkpoint = session.warehouse.checkpoint(session.group)
    return Pending(None, {session.group: checkpoint.load}) if checkpoint is not None else None


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
    options = {
        **spec.transform.options,
        "select": [f"{part},{folder}" for part in chosen] or [folder],
        "environment": _BUILDABLE,
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
    """Compare streams with the source: those of the file, or the next one in turn."""
    wanted = attempt.header.orchestration

    def work(session: Session) -> dict[str, object]:
        checkpoint = session.warehouse.checkpoint(session.group)
        turn = (checkpoint.load if checkpoint else 0) % len(wanted.verify)
        return verify_json(verify(session, (wanted.verify[turn],) if wanted.rotates else wanted.verify))

    verdict = attempt.within(work)
    if not verdict["equal"]:
        raise AirflowFailException(
            "source and warehouse differ; load the rows again with: "
            f"python -m entrypoints.cli verify {attempt.header.name} --repair"
        )
    return verdict


def publish(attempt: Attempt) -> list[str]:
    """Give every mart that was built an asset event, and every staging table that a service loaded; gives the marts'
    names.
    """
    header = attempt.header
    last = attempt.pull(build_tasks(header)[-1]) or {}
    loaded = attempt.pull(LOAD)
    pending = last.get("pending") or {}
    built = [node for node in last.get("nodes", ()) if node["kind"] == "model" and node["status"] == "success"]
    facts = {
        "load": max(pending["loads"].values()) if pending else None,
        "position": loaded["checkpoint"]["position"] if loaded else None,
        "lag_s": loaded["lag_s"] if loaded else None,
    }
    outlets = attempt.context["outlet_events"]
    for node in built:
        mart = table_asset(header.name, MARTS, node["name"])
        outlets[AssetAlias(f"{header.name}/{MARTS}")].add(mart, extra={"row_count": node["rows"], **facts})
    if loaded is None and pending:
        for stream in pending["streams"] or [name for name, _ in header.streams]:
            table = table_asset(header.name, STAGING, stream)
            outlets[AssetAlias(f"{header.name}/{STAGING}")].add(table, extra={"row_count": None, **facts})
    return [node["name"] for node in built]
