"""Checks everything that a pipeline needs, without changing anything."""

from __future__ import annotations

from collections.abc import Callable

from pipeline.application.configured import configuration_findings
from pipeline.application.session import Session
from pipeline.domain.errors import PipelineError
from pipeline.domain.finding import Finding, Level


def doctor(session: Session) -> tuple[Finding, ...]:
    """Findings on source, warehouse, checkpoint, contracts and dbt, in this order; one broken part hides no other."""
    findings: list[Finding] = []
    checks: list[tuple[str, Callable[[], tuple[Finding, ...]]]] = [
        ("source", lambda: session.source.inspect(session.specs())),
        ("warehouse", session.warehouse.inspect),
        ("checkpoint", lambda: _checkpoint(session)),
        ("contract", lambda: _contracts(session)),
    ]
    if session.transformer is not None:
        checks.append(("transform", session.transformer.inspect))
    for check, inspect in checks:
        try:
            findings += inspect()
        except PipelineError as error:
            if not _is_known(error, findings):
                findings.append(Finding.of(error, check))
    return tuple(findings)


def _is_known(error: PipelineError, findings: list[Finding]) -> bool:
    """Whether an earlier check met the same error, or said of each stream what this one says of all."""
    told = {(finding.what, finding.where) for finding in findings}
    tables = {finding.where for finding in findings if finding.check == "table" and finding.level is Level.ERROR}
    streams = error.facts.get("streams")
    of_streams = isinstance(streams, list) and tables.issuperset(f"stream {stream}" for stream in streams)
    return (error.what, error.where) in told or of_streams


def _checkpoint(session: Session) -> tuple[Finding, ...]:
    checkpoint = session.warehouse.checkpoint(session.group)
    if checkpoint is None:
        return (Finding(Level.INFO, "checkpoint", "nothing was loaded yet", where=session.warehouse.name),)
    session.source.check(checkpoint)
    return (
        Finding(
            Level.OK,
            "checkpoint",
            f"load {checkpoint.load}; the source still holds the log from there on",
            where=session.warehouse.name,
        ),
    )


def _contracts(session: Session) -> tuple[Finding, ...]:
    schemas = session.source.schemas(session.specs())
    states = session.warehouse.states(session.group)
    findings: list[Finding] = []
    for spec in session.specs():
        findings += configuration_findings(spec, schemas[spec.name], state=states.get(spec.name))
    return tuple(findings)
