"""Results of use cases as JSON: mappings with stable keys.

How people see them is in ``tables``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence, Set
from datetime import date, datetime
from enum import Enum

import attrs

from adapters.metrics.live import StreamView
from pipeline.application.plan import PlanResult
from pipeline.application.preview import Preview
from pipeline.application.status import StatusResult
from pipeline.application.sync import SyncResult
from pipeline.application.verify import VerifyResult
from pipeline.domain.checkpoint import Checkpoint
from pipeline.domain.counts import StreamCounts
from pipeline.domain.errors import EXIT_CODES, ErrorKind
from pipeline.domain.finding import Finding, Level
from pipeline.domain.position import Position
from pipeline.ports.transformer import TransformResult


def plain(value: object) -> object:
    """``value`` in JSON's types: attrs values become mappings of their public fields, in order."""
    match value:
        case Position():
            return dict(value.parts)
        case Enum():
            return value.value
        case datetime() | date():
            return value.isoformat()
        case Mapping():
            return {str(key): plain(item) for key, item in value.items()}
        case str() | int() | float() | None:
            return value
        case Set():
            return sorted(str(item) for item in value)
        case Sequence():
            return [plain(item) for item in value]
        case _:
            return _fields(value)


def _fields(value: object) -> object:
    kind = type(value)
    if not attrs.has(kind):
        return str(value)
    return {field.name: plain(getattr(value, field.name)) for field in attrs.fields(kind)}


def sync_json(result: SyncResult, *, copies: Iterable[StreamView] = ()) -> dict[str, object]:
    """The result of ``run``, ``stream`` and ``resync``; ``copies`` are the streams that were copied."""
    return {
        "checkpoint": _checkpoint(result.checkpoint),
        "checkpoints": plain(result.checkpoints),
        "copied": {view.stream: _copy(view, result.counts.get(view.stream, StreamCounts())) for view in copies},
        "streams": plain(result.counts),
        "batch_count": result.batch_count,
        "transaction_count": result.transaction_count,
        "seconds": round(result.seconds, 3),
        "stopped": result.stopped,
        "transform": transform_json(result.transformed) if result.transformed else None,
    }


def _copy(view: StreamView, from_log: StreamCounts) -> dict[str, int]:
    set_apart_count = view.quarantined_count - from_log.quarantined_count
    return {"row_count": view.copied_count, "quarantined_count": set_apart_count}


def transform_json(result: TransformResult) -> dict[str, object]:
    """The result of ``transform``."""
    return {
        "ok": not result.failed,
        "seconds": round(result.seconds, 3),
        "nodes": plain(result.nodes),
    }


def verify_json(result: VerifyResult) -> dict[str, object]:
    """The result of ``verify``."""
    streams = []
    for verdict in result.verdicts:
        streams.append(
            {
                "stream": verdict.stream,
                "equal": verdict.comparison.is_equal if verdict.comparison else None,
                "comparison": plain(verdict.comparison),
                "skipped": verdict.skipped,
                "repaired_count": verdict.repaired_count,
            }
        )
    return {
        "equal": result.is_equal,
        "position": plain(result.position),
        "streams": streams,
        "seconds": round(result.seconds, 3),
    }


def plan_json(result: PlanResult) -> dict[str, object]:
    """The result of ``plan``."""
    return {
        "steps": plain(result.steps),
        "findings": plain(result.findings),
        "checkpoint": _checkpoint(result.checkpoint),
        "checkpoints": plain(result.checkpoints),
        "log": plain(result.log),
    }


def preview_json(result: Preview) -> dict[str, object]:
    """The result of ``preview``: values as JSON has them, others as text."""
    columns = [
        {"name": column.name, "type": str(column.type), "json": column.json, "key": column.name in result.schema.key}
        for column in result.schema.columns
    ]
    rows = [{name: _value(value) for name, value in row.items()} for row in result.rows.to_pylist()]
    return {"stream": result.stream, "columns": columns, "rows": rows}


def _value(value: object) -> object:
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, list):
        return [_value(item) for item in value]
    return {str(key): _value(item) for key, item in value.items()} if isinstance(value, dict) else str(value)


def findings_json(findings: Sequence[Finding]) -> dict[str, object]:
    """The result of ``doctor``."""
    return {"ok": exit_status(findings) == 0, "findings": plain(findings)}


def status_json(result: StatusResult, *, dag_url: str | None) -> dict[str, object]:
    """The result of ``status``."""
    return {
        "pipeline": result.pipeline,
        "warehouse": result.warehouse,
        "at": plain(result.at),
        "checkpoint": _checkpoint(result.checkpoint),
        "checkpoints": plain(result.checkpoints),
        "checkpoint_age_s": result.checkpoint_age_s,
        "streams": plain(result.streams),
        "loads": plain(result.loads),
        "airflow_url": dag_url,
    }


def exit_status(findings: Sequence[Finding]) -> int:
    """The exit status that tells of what would stop a run: unreachable where trying again may mend all of it."""
    errors = [finding for finding in findings if finding.level is Level.ERROR]
    if not errors:
        return 0
    is_transient = all(finding.unreachable for finding in errors)
    return EXIT_CODES[ErrorKind.UNREACHABLE if is_transient else ErrorKind.REJECTED]


def _checkpoint(checkpoint: Checkpoint | None) -> object:
    return None if checkpoint is None else plain(checkpoint)
