"""The tasks up to the load: decide what the run does, load, check the books.

What is built from what was loaded is ``building``'s.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from airflow.sdk import AssetAlias
from airflow.sdk.exceptions import AirflowException, AirflowFailException

from entrypoints.airflow.attempt import Attempt
from entrypoints.airflow.graph import APPROVE, DECIDE, LOAD, build_tasks
from entrypoints.airflow.metering import LoadMeter
from entrypoints.airflow.scheduling import STAGING, table_asset
from entrypoints.cli.plain import plain, plan_json, sync_json
from pipeline.application.plan import plan
from pipeline.application.resync import resync
from pipeline.application.risks import risks
from pipeline.application.service import watch_service
from pipeline.application.session import Session
from pipeline.application.sync import SyncResult, sync
from pipeline.domain.counts import StreamCounts


def decide(attempt: Attempt) -> list[str]:
    """The ids of the tasks that follow: none of a dry run, whose plan others find as the XCom ``plan``; an approval
    before what cannot be taken back; only the marts where a service does the loading.
    """
    wanted = attempt.header.orchestration
    if attempt.param("dry_run"):
        attempt.push("plan", attempt.within(lambda session: plan_json(plan(session))))
        return []
    if wanted.service and not _is_taken_over(attempt):
        return list(build_tasks(attempt.header)[:1])
    streams: Sequence[str] = attempt.param("resync") or ()
    found = attempt.within(lambda session: risks(session, resync=streams, large_count=wanted.approve_rows))
    if not found.findings or not wanted.approve:
        return [LOAD]
    attempt.push("risks", "\n".join(f"- {finding.where}: {finding.what}. {finding.hint}" for finding in found.findings))
    attempt.push("gap", found.gap is not None)
    return [APPROVE]


def _is_taken_over(attempt: Attempt) -> bool:
    """Whether this run loads instead of the service, which must not be reading then (P4). Tells people of a service
    that does not read, or has written no checkpoint for as long as ``wait``.
    """
    limit_s = attempt.header.orchestration.wait_s

    def work(session: Session) -> tuple[bool, object]:
        seen = watch_service(session, limit_s=limit_s)
        if seen.finding is not None:
            session.notifier.notify(seen.finding, pipeline=session.pipeline.name)
        return seen.is_reading, plain(seen)

    is_reading, told = attempt.within(work)
    attempt.push("service", told)
    return bool(attempt.param("take_over")) and not is_reading


def load(attempt: Attempt) -> dict[str, object]:
    """A bounded run without marts; every staging table that changed gets an asset event."""
    meter = LoadMeter()
    streams: Sequence[str] = attempt.param("resync") or ()
    has_agreed = attempt.pull(APPROVE) is not None
    accepts_gap = has_agreed and bool(attempt.pull(DECIDE, key="gap"))

    def work(session: Session) -> SyncResult:
        chosen = tuple(session.pipeline.streams) if accepts_gap else streams
        return resync(session, chosen, with_transform=False) if chosen else sync(session, with_transform=False)

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
