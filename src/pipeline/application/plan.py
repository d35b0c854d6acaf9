"""Tells what a run would do, without doing it."""

from __future__ import annotations

from enum import Enum

import attrs

from pipeline.application.beginning import missing_streams
from pipeline.application.configured import configuration_findings
from pipeline.application.session import Session
from pipeline.application.streamload import evolve_state
from pipeline.domain.checkpoint import Checkpoint, StreamState
from pipeline.domain.errors import LogLost, SchemaRefused
from pipeline.domain.finding import Finding, Level
from pipeline.domain.processing import processed_schema
from pipeline.domain.schema import StreamSchema
from pipeline.domain.stream import StreamSpec
from pipeline.ports.source import LogState, LogStatus


class Action(Enum):
    """What a run would do with a stream."""

    CREATE = "create"
    COPY = "copy"
    ALTER = "alter"
    REBUILD = "rebuild"
    APPLY = "apply"


@attrs.frozen
class PlannedStep:
    """One thing that a run would do; ``row_count`` is an estimate where rows would be copied."""

    stream: str
    action: Action
    detail: str
    row_count: int | None = None


@attrs.frozen
class PlanResult:
    """All steps in order, how much log waits, and what stands against running. Of several groups there is no one
    ``checkpoint`` and ``log``; ``checkpoints`` are told by group.
    """

    steps: tuple[PlannedStep, ...]
    findings: tuple[Finding, ...]
    checkpoint: Checkpoint | None
    log: LogState | None
    checkpoints: dict[str, Checkpoint] = attrs.field(factory=dict)


def plan(session: Session, *, with_warehouse: bool = True) -> PlanResult:
    """Compare configuration, source and warehouse. Changes nothing.

    ``with_warehouse``: look at the warehouse as such too, which groups share.
    """
    checkpoint = session.warehouse.checkpoint(session.group)
    states = session.warehouse.states(session.group)
    schemas = session.source.schemas(session.specs())
    estimates = {relation.name: relation.estimated_count for relation in session.source.discover()}
    inspected = list(session.source.inspect(session.specs()))
    if with_warehouse:
        inspected += session.warehouse.inspect()
    findings = [finding for finding in inspected if finding.level is Level.ERROR]
    log = session.source.log()
    if checkpoint is not None:
        try:
            log = session.source.check(checkpoint)
        except LogLost as error:
            findings.append(Finding.of(error, "log"))
    steps: list[PlannedStep] = []
    missing = {spec.name for spec in missing_streams(session, states)}
    for spec in session.specs():
        state = states.get(spec.name)
        unfit = configuration_findings(spec, schemas[spec.name], state=state)
        findings += unfit
        if state is None:
            # Masks that do not fit are no masks of this schema.
            masks = {} if any(finding.check == "masks" for finding in unfit) else spec.masks
            steps.append(_create(spec, processed_schema(schemas[spec.name], masks)))
        else:
            steps += _alter(session, state, spec, schemas[spec.name], findings=findings)
        if spec.name in missing:
            steps.append(
                PlannedStep(spec.name, Action.COPY, f"from {spec.relation}", row_count=estimates.get(spec.relation))
            )
    if checkpoint is not None and not findings:
        steps.append(PlannedStep("", Action.APPLY, _waiting_log(log)))
    checkpoints = {session.group: checkpoint} if checkpoint else {}
    return PlanResult(tuple(steps), tuple(findings), checkpoint, log, checkpoints)


def _create(spec: StreamSpec, schema: StreamSchema) -> PlannedStep:
    key = f"key {', '.join(schema.key)}" if schema.key else "no key"
    detail = f"staging.{spec.table} and its changelog: {len(schema.columns)} columns, {key}, mode {spec.mode.value}"
    return PlannedStep(spec.name, Action.CREATE, detail)


def _alter(
    session: Session, state: StreamState, spec: StreamSpec, schema: StreamSchema, *, findings: list[Finding]
) -> list[PlannedStep]:
    steps = []
    if state.mode is not spec.mode:
        steps.append(
            PlannedStep(
                spec.name,
                Action.REBUILD,
                f"staging.{spec.table} from its changelog: mode {state.mode.value} becomes {spec.mode.value}",
            )
        )
    try:
        _, _, phrases = evolve_state(state, (schema,), spec=spec, warehouse=session.warehouse)
    except SchemaRefused as error:
        findings.append(Finding.of(error, "schema", where=f"stream {spec.name}"))
        return steps
    return steps + [PlannedStep(spec.name, Action.ALTER, phrase) for phrase in phrases]


def _waiting_log(log: LogState) -> str:
    if log.status is LogStatus.NONE:
        return "what has changed since the last look"
    if log.held_bytes is None:
        return "the changes since the checkpoint"
    return f"the changes since the checkpoint: {log.held_bytes / 1_000_000:.1f} MB of log are kept"
