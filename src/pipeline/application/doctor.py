"""Checks everything that a pipeline needs, without changing anything."""

from __future__ import annotations

from collections.abc import Callable

from pipeline.application.configured import configuration_findings
from pipeline.application.session import Session
from pipeline.domain.errors import PipelineError
from pipeline.domain.finding import Finding, Level
from pipeline.ports.source import LogStatus


def doctor(session: Session, *, with_warehouse: bool = True) -> tuple[Finding, ...]:
    """Findings on source, warehouse, checkpoint, contracts and dbt, in this order; one broken part hides no other.

    ``with_warehouse``: look at the warehouse as such and at dbt too, which groups share.
    """
    findings: list[Finding] = []
    checks: list[tuple[str, Callable[[], tuple[Finding, ...]]]] = [
        ("source", lambda: session.source.inspect(session.specs())),
        *([("warehouse", session.warehouse.inspect)] if with_warehouse else []),
        ("checkpoint", lambda: _checkpoint(session)),
        ("contract", lambda: _contracts(session)),
    ]
    if with_warehouse and session.transformer is not None:
        checks.append(("transform", session.transformer.inspect))
    for check, inspect in checks:
        try:
            findings += inspect()
        except PipelineError as error:
            if not _is_known(error, findings):
                findings.append(Finding.of(error, check))
    return tuple(findings)


_CAN_GO_ON = {False: "the source still holds the log from there on", True: "looks go on from there"}


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
    log = session.source.check(checkpoint)
    return (
        Finding(
            Level.OK,
            "checkpoint",
            f"load {checkpoint.load}; {_CAN_GO_ON[log.status is LogStatus.NONE]}",
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
