"""Results of use cases as tables for people.

What a program reads is in ``plain``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from adapters.metrics.live import StreamView
from entrypoints.airflow.callbacks import task_name
from pipeline.application.plan import PlanResult
from pipeline.application.preview import Preview
from pipeline.application.status import StatusResult
from pipeline.application.sync import SyncResult
from pipeline.application.verify import VerifyResult
from pipeline.domain.counts import StreamCounts
from pipeline.domain.finding import Finding, Level
from pipeline.ports.transformer import TransformResult

_LEVEL_STYLES = {Level.OK: "green", Level.INFO: "", Level.WARNING: "yellow", Level.ERROR: "bold red"}
#: The longest value that a preview shows whole.
_WIDEST = 60
_GOOD = {"success", "pass"}
_BAD = {"error", "fail"}


def console(*, stderr: bool = False) -> Console:
    """A console that honours NO_COLOR and, where the output is no terminal, never cuts lines."""
    made = Console(stderr=stderr, highlight=False, soft_wrap=False)
    return made if made.is_terminal else Console(stderr=stderr, highlight=False, width=160)


def sync_table(result: SyncResult, *, copies: Iterable[StreamView] = ()) -> RenderableType:
    """What a run moved, stream by stream: rows copied from a snapshot, then changes from the log."""
    table = _table("stream", ">copied", ">read", ">loaded", ">quarantined", ">already covered", ">discarded")
    copied = {view.stream: view for view in copies}
    streams = sorted({*result.counts, *copied})
    for stream in streams:
        counts = result.counts.get(stream, StreamCounts())
        view = copied.get(stream)
        numbers = (
            view.copied_count if view else 0,
            counts.read_count,
            counts.changelog_count,
            view.quarantined_count if view else counts.quarantined_count,
            counts.covered_count,
            counts.discarded_count,
        )
        table.add_row(stream, *(f"{number:,}" for number in numbers))
    load = f", load {result.checkpoint.load}" if result.checkpoint else ""
    if len(result.checkpoints) > 1:
        load = f", {len(result.checkpoints)} groups"
    ending = "stopped" if result.stopped else "done"
    lines: list[RenderableType] = [table] if streams else [Text("no change since the checkpoint")]
    if result.transformed is not None:
        lines.append(transform_line(result.transformed))
    lines.append(Text(f"{ending} in {result.seconds:.1f} s{load}"))
    return Group(*lines)


def transform_line(result: TransformResult) -> Text:
    """One line about a dbt run."""
    models = sum(node.kind == "model" for node in result.nodes)
    tests = sum(node.kind == "test" for node in result.nodes)
    failed = f", {len(result.failed)} failed" if result.failed else ", all good"
    return Text(f"dbt: {models} models, {tests} tests in {result.seconds:.1f} s{failed}")


def transform_table(result: TransformResult) -> RenderableType:
    """The models of a dbt run, and the tests that did not pass."""
    table = _table("node", "kind", "status", ">seconds", "message")
    for node in result.nodes:
        if node.kind == "test" and node.status in _GOOD:
            continue
        style = "green" if node.status in _GOOD else "bold red" if node.status in _BAD else "yellow"
        message = node.message if node.status not in _GOOD else ""
        table.add_row(node.name, node.kind, Text(node.status, style), f"{node.seconds:.2f}", Text(message))
    return Group(table, transform_line(result))


def verify_table(result: VerifyResult) -> RenderableType:
    """The verdict on each stream."""
    table = _table("stream", ">rows compared", ">missing", ">extra", ">changed", "verdict")
    for verdict in result.verdicts:
        comparison = verdict.comparison
        if comparison is None:
            table.add_row(verdict.stream, "", "", "", "", Text(f"not compared: {verdict.skipped}", "yellow"))
            continue
        numbers = (
            comparison.compared_count,
            comparison.missing_count,
            comparison.extra_count,
            comparison.changed_count,
        )
        word = Text("equal", "green") if comparison.is_equal else Text("differs", "bold red")
        if verdict.repaired_count:
            word = Text(f"{verdict.repaired_count:,} rows repaired", "yellow")
        table.add_row(verdict.stream, *(f"{number:,}" for number in numbers), word)
    keys = [
        Text(f"{verdict.stream}: {', '.join(verdict.comparison.keys)}")
        for verdict in result.verdicts
        if verdict.comparison and verdict.comparison.keys
    ]
    shown = [Text("keys that differ (a sample)"), *keys] if keys else []
    return Group(table, *shown, Text(f"compared at one position in {result.seconds:.1f} s"))


def preview_table(result: Preview) -> RenderableType:
    """Columns with their types, then the rows."""
    columns = _table("column", "type", "key")
    for column in result.schema.columns:
        kind = "json" if column.json else str(column.type)
        columns.add_row(Text(column.name), Text(kind), "key" if column.name in result.schema.key else "")
    rows = _table(*(column.name for column in result.schema.columns))
    for row in result.rows.to_pylist():
        rows.add_row(*(Text("" if value is None else _short(str(value))) for value in row.values()))
    return Group(columns, Text(""), rows, Text(f"{result.rows.num_rows:,} rows; nothing was written"))


def _short(text: str) -> str:
    return text if len(text) <= _WIDEST else f"{text[:_WIDEST]}..."


def findings_table(findings: Sequence[Finding]) -> RenderableType:
    """What ``doctor`` and ``plan`` found, with what to do about it."""
    table = _table("level", "check", "finding", "what to do")
    for finding in findings:
        place = f"{finding.where}: " if finding.where else ""
        level = Text(finding.level.value, _LEVEL_STYLES[finding.level])
        table.add_row(level, finding.check, Text(f"{place}{finding.what}"), Text(finding.hint))
    return table


def plan_table(result: PlanResult) -> RenderableType:
    """The steps of a run in order."""
    table = _table("action", "stream", "what", ">rows, estimated")
    for step in result.steps:
        rows = "" if step.row_count is None else f"{step.row_count:,}"
        table.add_row(step.action.value, step.stream, Text(step.detail), rows)
    if not result.findings:
        return table if result.steps else Text("nothing to do")
    return Group(*([table] if result.steps else []), findings_table(result.findings))


def status_table(result: StatusResult, *, dag_url: str | None) -> RenderableType:
    """Checkpoint, streams and latest loads."""
    if not result.checkpoints:
        return Text(f"{result.pipeline}: nothing was loaded into {result.warehouse} yet")
    streams = _table("stream", "table", "mode", "phase", ">schema version", ">waiting in quarantine")
    for stream in result.streams:
        streams.add_row(
            stream.stream,
            stream.table,
            stream.mode,
            stream.phase,
            str(stream.schema_version),
            f"{stream.waiting_count:,}",
        )
    parts: list[RenderableType] = [_status_head(result), streams]
    if result.loads:
        parts.append(_loads(result.loads))
    if dag_url:
        parts.append(Text(f"Airflow: {dag_url}"))
    return Group(*parts)


def _status_head(result: StatusResult) -> RenderableType:
    if result.checkpoint is not None:
        age = timedelta(seconds=round(result.checkpoint_age_s or 0))
        return Text(
            f"{result.pipeline} in {result.warehouse}: load {result.checkpoint.load}, "
            f"checkpoint written {age} ago ({result.checkpoint.at:%Y-%m-%d %H:%M:%S} UTC)"
        )
    groups = _table("group", ">load", "checkpoint written (UTC)", ">seconds ago")
    for name, checkpoint in result.checkpoints.items():
        ago = (result.at - checkpoint.at).total_seconds()
        groups.add_row(name, str(checkpoint.load), f"{checkpoint.at:%Y-%m-%d %H:%M:%S}", f"{ago:.0f}")
    return Group(Text(f"{result.pipeline} in {result.warehouse}: {len(result.checkpoints)} groups"), groups)


def run_table(told: Mapping[str, Any]) -> RenderableType:
    """A run in Airflow and its tasks."""
    table = _table("task", "state", ">attempts", ">seconds")
    for task in told["tasks"]:
        seconds = "" if task["seconds"] is None else f"{task['seconds']:.1f}"
        table.add_row(task_name(task["task"], task["group"]), _state(task["state"]), str(task["attempts"]), seconds)
    return Group(table, Text(f"{told['pipeline']}: run {told['run']} {told['state']}"), Text(f"Airflow: {told['url']}"))


def dags_table(told: Iterable[Mapping[str, Any]]) -> RenderableType:
    """The DAGs of pipelines in Airflow, each with its latest run."""
    table = _table("pipeline", "schedule", "latest run", "state", "started", "ended")
    for dag in told:
        run = dag["latest"] or {}
        moments = [str(run.get(name) or "")[:19].replace("T", " ") for name in ("started_at", "ended_at")]
        missing = ", ".join(dag["missing_pools"])
        waits = f"no pool {missing}" if missing else dag["schedule"] or "by hand"
        schedule = "paused" if dag["paused"] else waits
        table.add_row(dag["pipeline"], schedule, run.get("run", "none yet"), _state(run.get("state")), *moments)
    return table


def pools_table(told: Iterable[Mapping[str, Any]]) -> RenderableType:
    """The pools that pipelines name."""
    table = _table("pool", "state", "pipelines")
    for pool in told:
        state = "made" if pool["made"] else "was there"
        table.add_row(pool["pool"], state, ", ".join(pool["pipelines"]))
    return table


def _state(state: str | None) -> Text:
    style = "green" if state in _GOOD else "bold red" if state in {"failed", "upstream_failed"} else ""
    return Text(state or "", style)


def _loads(loads: Iterable[dict[str, object]]) -> Table:
    listed = list(loads)
    is_counted = any("statement_count" in load for load in listed)
    table = _table(">load", "at", ">seconds", *([">statements"] if is_counted else []), ">changes", "streams")
    for load in listed:
        counts = load.get("counts")
        streams = counts if isinstance(counts, dict) else {}
        read = sum(_read_count(count) for count in streams.values())
        seconds = load.get("seconds")
        table.add_row(
            str(load.get("load", "")),
            f"{load.get('at', ''):%H:%M:%S}" if hasattr(load.get("at"), "hour") else str(load.get("at", "")),
            f"{seconds:.2f}" if isinstance(seconds, float) else "",
            *([str(load.get("statement_count", ""))] if is_counted else []),
            f"{read:,}",
            ", ".join(sorted(map(str, streams))),
        )
    return table


def _read_count(count: object) -> int:
    read = count.get("read_count", 0) if isinstance(count, dict) else getattr(count, "read_count", 0)
    return int(read)


def _table(*headings: str) -> Table:
    """A plain table; a heading that starts with ``>`` is of a column of numbers."""
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for heading in headings:
        number = heading.startswith(">")
        table.add_column(heading.removeprefix(">"), justify="right" if number else "left", overflow="fold")
    return table
