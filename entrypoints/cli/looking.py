"""Commands that look and load nothing of their own accord: doctor, plan, status, verify."""

from __future__ import annotations

from types import ModuleType

from entrypoints.cli.invocation import Invocation, invocation
from entrypoints.cli.options import Common
from entrypoints.cli.output import show
from entrypoints.cli.plain import exit_status, findings_json, plan_json, preview_json, status_json, verify_json
from pipeline.domain.errors import Differs


def doctor(pipeline: str, common: Common) -> int:
    """Check everything that the pipeline needs."""
    from pipeline.application.groups import doctor_groups

    with invocation("doctor", pipeline, common) as call:
        findings = doctor_groups(call.sessions)
    show(common, as_json=lambda: findings_json(findings), as_table=lambda: _tables().findings_table(findings))
    return exit_status(findings)


def plan(pipeline: str, common: Common) -> int:
    """Tell what a run would do."""
    from pipeline.application.groups import plan_groups

    with invocation("plan", pipeline, common) as call:
        result = plan_groups(call.sessions)
    show(common, as_json=lambda: plan_json(result), as_table=lambda: _tables().plan_table(result))
    return exit_status(result.findings)


def status(pipeline: str, common: Common, *, loads: int) -> int:
    """Tell how far the pipeline is; its source need not be there."""
    from pipeline.application.groups import status_groups

    with invocation("status", pipeline, common, needs_source=False) as call:
        result = status_groups(call.sessions, load_limit=loads)
        url = _dag_url(call)
    show(
        common,
        as_json=lambda: status_json(result, dag_url=url),
        as_table=lambda: _tables().status_table(result, dag_url=url),
    )
    return 0


def preview(pipeline: str, common: Common, *, stream: str, rows: int) -> int:
    """Show the first rows of a stream; what is printed are values, which are the reader's affair."""
    from pipeline.application.preview import preview as peek
    from pipeline.application.session import chosen

    with invocation("preview", pipeline, common) as call:
        [(session, _)] = chosen(call.sessions, [stream])
        result = peek(session, stream, limit=rows)
    show(common, as_json=lambda: preview_json(result), as_table=lambda: _tables().preview_table(result))
    return 0


def verify(pipeline: str, common: Common, *, streams: tuple[str, ...], repair: bool) -> int:
    """Compare source and warehouse row by row; raises ``Differs`` if they are not equal."""
    from pipeline.application.groups import verify_groups

    with invocation("verify", pipeline, common) as call:
        result = verify_groups(call.sessions, streams or None, repair=repair)
        show(common, as_json=lambda: verify_json(result), as_table=lambda: _tables().verify_table(result))
        if not result.is_equal:
            differing = [
                verdict.stream
                for verdict in result.verdicts
                if verdict.comparison and not verdict.comparison.is_equal and not verdict.repaired_count
            ]
            error = Differs(
                f"source and warehouse differ in {', '.join(differing)}",
                where=f"pipeline {pipeline}",
                hint=f"Load those rows again with: python -m entrypoints.cli verify {pipeline} --repair",
            )
            if not common.as_json:
                raise error
            return error.exit_code
    return 0


def _dag_url(call: Invocation) -> str | None:
    base = call.settings.airflow_base_url
    return f"{base.rstrip('/')}/dags/{call.file.spec.name}" if base and call.file.spec.schedule else None


def _tables() -> ModuleType:
    """Imported only when people look: programs that read JSON need not wait for it."""
    from entrypoints.cli import tables

    return tables
