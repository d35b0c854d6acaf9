"""The tasks up to the load: decide what the run does, load, check the books.

What is built from what was loaded is ``building``'s.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from airflow.sdk import AssetAlias
from airflow.sdk.exceptions import AirflowException, AirflowFailException

from entrypoints.airflow.attempt import Attempt, Sessions
from entrypoints.airflow.callbacks import run_url
from entrypoints.airflow.graph import APPROVE, DECIDE, LOAD, build_tasks
from entrypoints.airflow.metering import LoadMeter, loads_of, rows_since
from entrypoints.airflow.scheduling import STAGING, table_asset
from entrypoints.cli.plain import plain, plan_json, sync_json
from pipeline.application.groups import plan_groups, resync_groups, sync_groups
from pipeline.application.risks import Risks, risks
from pipeline.application.service import watch_service
from pipeline.application.session import Session, chosen
from pipeline.application.sync import SyncResult
from pipeline.domain.checkpoint import Checkpoint
from pipeline.domain.counts import StreamCounts
from pipeline.domain.errors import LogLost, PipelineError
from pipeline.domain.finding import Finding, Level
from pipeline.ports.source import LogStatus

#: By stream.
Checkpoints = Mapping[str, Checkpoint]

#: XComs of ``decide``: how many loads each group has had before this run's, and the streams of groups with a gap.
_LOADS_BEFORE, _GAPS = "loads_before", "gaps"


def decide(attempt: Attempt) -> list[str]:
    """The ids of the tasks that follow: none of a dry run, whose plan others find as the XCom ``plan``; an approval
    before what cannot be taken back; only the marts where a service does the loading.
    """
    wanted = attempt.header.orchestration
    _ = attempt.window  # refused before anything is done
    streams: Sequence[str] = attempt.param("resync") or ()
    if attempt.param("dry_run"):
        attempt.push("plan", attempt.within(lambda sessions: plan_json(plan_groups(sessions))))
        return []
    if wanted.service and not _is_taken_over(attempt):
        if streams:
            raise AirflowFailException(
                "a service loads this pipeline, so that no stream can be copied again by a run: stop it, "
                "then start a run with take_over"
            )
        return list(build_tasks(attempt.header)[:1])
    found = attempt.within(lambda sessions: _look_ahead(sessions, attempt, streams), needs_source=False)
    if not found or not wanted.approve:
        return [LOAD]
    attempt.push("risks", "\n".join(f"- {finding.where}: {finding.what}. {finding.hint}" for finding in found))
    return [APPROVE]


def _look_ahead(sessions: Sessions, attempt: Attempt, streams: Sequence[str]) -> tuple[Finding, ...]:
    """What the run risks; people are told if they have to agree to it. Leaves for ``load`` how many loads each group
    has had, and the streams of groups that have a gap.
    """
    wanted, notifier, pipeline = attempt.header.orchestration, sessions[0].notifier, sessions[0].pipeline.name
    asked_for = {session.group: names or () for session, names in (chosen(sessions, streams) if streams else ())}
    found = {
        session.group: _risks(session, asked_for.get(session.group, ()), large_count=wanted.approve_rows)
        for session in sessions
    }
    attempt.push(_LOADS_BEFORE, loads_of(sessions))
    gaps = [stream for session in sessions if found[session.group].gap for stream in session.pipeline.streams]
    attempt.push(_GAPS, gaps)
    findings = tuple(finding for risk in found.values() for finding in risk.findings)
    if findings and wanted.approve:
        what = f"a run waits for somebody to agree: {'; '.join(finding.what for finding in findings)}"
        hint = f"Answer under Required Actions: {run_url(pipeline, attempt.run_id)}."
        notifier.notify(
            Finding(Level.WARNING, "approval", what, where=f"run {attempt.run_id}", hint=hint), pipeline=pipeline
        )
    return findings


def _risks(session: Session, resync: Sequence[str], *, large_count: int) -> Risks:
    """What loading a group risks. Where its source cannot be asked, that is left to its load, which has to reach it
    too and accepts no gap by itself; unless streams are to be copied again, of which somebody may have to decide.
    """
    try:
        return risks(session, resync=resync, large_count=large_count)
    except PipelineError:
        if resync:
            raise
        return Risks()


def _is_taken_over(attempt: Attempt) -> bool:
    """Whether this run loads instead of the service, which must not be reading then (P4). Tells people of a service
    that does not read, or has written no checkpoint for as long as ``wait``. Groups without a log say nothing of it:
    their sources do not know who reads.
    """
    limit_s = attempt.header.orchestration.wait_s

    def work(sessions: Sessions) -> tuple[bool, object]:
        seen = [
            watch_service(session, limit_s=limit_s)
            for session in sessions
            if session.source.log().status is not LogStatus.NONE
        ]
        for each in seen:
            if each.finding is not None:
                sessions[0].notifier.notify(each.finding, pipeline=sessions[0].pipeline.name)
        return any(each.is_reading for each in seen), plain(seen)

    is_reading, told = attempt.within(work)
    attempt.push("service", told)
    return bool(attempt.param("take_over")) and not is_reading


def load(attempt: Attempt) -> dict[str, object]:
    """A bounded run of one group without marts; every staging table that changed gets an asset event. Streams that the
    run does not copy again are loaded as in any run.
    """
    meter = LoadMeter()
    has_agreed = attempt.pull(APPROVE) is not None
    gaps: Sequence[str] = (attempt.pull(DECIDE, key=_GAPS) or ()) if has_agreed else ()
    again = {*(attempt.param("resync") or ()), *gaps}

    def work(sessions: Sessions) -> tuple[SyncResult, Checkpoints]:
        streams = sorted(again & sessions[0].pipeline.streams.keys())
        accepts_gap = not attempt.header.orchestration.approve or not set(gaps).isdisjoint(streams)
        try:
            result = (
                resync_groups(sessions, streams, with_transform=False, accepts_gap=accepts_gap)
                if streams
                else sync_groups(sessions, with_transform=False)
            )
        except LogLost as error:
            hint = _after_a_gap(attempt, sessions[0])
            raise LogLost(error.what, where=error.where, hint=hint, **error.facts) from None
        if attempt.is_another:
            # What earlier attempts loaded before they ended is in the warehouse, but nobody was told of it.
            meter.rows = rows_since(sessions, attempt.pull(DECIDE, key=_LOADS_BEFORE) or {})
        return result, checkpoints_of(sessions)

    result, checkpoints = attempt.within(work, metrics=(meter,))
    if result.stopped:
        raise AirflowException("stopped before the end; the next attempt goes on from the checkpoint")
    tell_of_tables(attempt, meter, checkpoints)
    return sync_json(result) | {
        "holds": list(checkpoints),
        "rows": meter.rows,
        "quarantined": meter.quarantined,
        "lag_s": meter.lag_s,
    }


def _after_a_gap(attempt: Attempt, session: Session) -> str:
    """What to do where a source has lost log and nobody agreed to that, such as when it did so after ``decide``."""
    if not attempt.header.orchestration.approve:
        names = ", ".join(session.pipeline.streams)
        return f"Start a run whose param resync names all of: {names}; changes in between are in no changelog."
    url = run_url(session.pipeline.name, attempt.run_id)
    return (
        f"Clear the task {DECIDE} of this run with all that is downstream, or start another run: it asks under "
        f"Required Actions whether to copy all streams again ({url})."
    )


def checkpoints_of(sessions: Sessions) -> Checkpoints:
    """Where each stream is: the checkpoint of its group."""
    return {
        stream: checkpoint
        for session in sessions
        if (checkpoint := session.warehouse.checkpoint(session.group)) is not None
        for stream in session.pipeline.streams
    }


def tell_of_tables(attempt: Attempt, meter: LoadMeter, checkpoints: Checkpoints) -> None:
    """Give every staging table that was loaded into an asset event."""
    name = attempt.header.name
    events = attempt.context["outlet_events"][AssetAlias(f"{name}/{STAGING}")]
    for stream, row_count in meter.rows.items():
        checkpoint = checkpoints.get(stream)
        facts = {
            "row_count": row_count,
            "load": checkpoint.load if checkpoint else None,
            "position": dict(checkpoint.position.parts) if checkpoint else None,
            "lag_s": meter.lag_s,
        }
        events.add(table_asset(name, STAGING, stream), extra=facts)


def check(attempt: Attempt) -> dict[str, object]:
    """Whether every change that was read ended somewhere that can be named (P3), and what was set apart."""
    counted: dict[str, Mapping[str, int]] = {}
    quarantined: dict[str, int] = {}
    for loaded in attempt.pull_each(LOAD):
        counted |= loaded["streams"]
        quarantined |= loaded["quarantined"]
    unbalanced = [name for name, counts in counted.items() if not StreamCounts(**counts).is_balanced]
    if unbalanced:
        raise AirflowFailException(f"the books of {', '.join(sorted(unbalanced))} do not balance; this is a defect")
    return {"balanced": sorted(counted), "quarantined": quarantined}
