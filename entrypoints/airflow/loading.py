"""The tasks up to the load: decide what the run does, load, check the books.

What is built from what was loaded is ``building``'s.
"""

from __future__ import annotations

from collections.abc import Mapping

from airflow.sdk import AssetAlias
from airflow.sdk.exceptions import AirflowException, AirflowFailException

from entrypoints.airflow.attempt import Attempt
from entrypoints.airflow.graph import LOAD
from entrypoints.airflow.metering import LoadMeter
from entrypoints.airflow.scheduling import STAGING, table_asset
from entrypoints.cli.plain import plan_json, sync_json
from pipeline.application.plan import plan
from pipeline.application.resync import resync
from pipeline.application.session import Session
from pipeline.application.sync import SyncResult, sync
from pipeline.domain.counts import StreamCounts


def decide(attempt: Attempt) -> list[str]:
    """The ids of the tasks that follow; none of a dry run, whose plan other tasks and people find as ``plan``."""
    if attempt.param("dry_run"):
        attempt.context["ti"].xcom_push(key="plan", value=attempt.within(lambda session: plan_json(plan(session))))
        return []
    return [LOAD]


def load(attempt: Attempt) -> dict[str, object]:
    """A bounded run without marts; every staging table that changed gets an asset event."""
    meter = LoadMeter()
    streams = attempt.param("resync")

    def work(session: Session) -> SyncResult:
        if streams:
            return resync(session, streams, with_transform=False)
        return sync(session, with_transform=False)

    result = attempt.within(work, metrics=(meter,))
    if result.stopped:
        raise AirflowException("stopped before the end; the next attempt goes on from the checkpoint")
    _tell(attempt, result, meter)
    return sync_json(result) | {"rows": meter.rows, "quarantined": meter.quarantined, "lag_s": meter.lag_s}


def _tell(attempt: Attempt, result: SyncResult, meter: LoadMeter) -> None:
    name = attempt.header.name
    events = attempt.context["outlet_events"][AssetAlias(f"{name}/{STAGING}")]
    for stream, row_count in meter.rows.items():
        facts = {
            "row_count": row_count,
            "load": result.checkpoint.load if result.checkpoint else None,
            "position": dict(result.checkpoint.position.parts) if result.checkpoint else None,
            "lag_s": meter.lag_s,
        }
        events.add(table_asset(name, STAGING, stream), extra=facts)


def check(attempt: Attempt) -> dict[str, object]:
    """Whether every change that was read ended somewhere that can be named (P3), and what was set apart."""
    loaded: Mapping[str, Mapping[str, Mapping[str, int]]] = attempt.pull(LOAD)
    unbalanced = [name for name, counts in loaded["streams"].items() if not StreamCounts(**counts).is_balanced]
    if unbalanced:
        raise AirflowFailException(f"the books of {', '.join(sorted(unbalanced))} do not balance; this is a defect")
    return {"balanced": sorted(loaded["streams"]), "quarantined": loaded["quarantined"]}
