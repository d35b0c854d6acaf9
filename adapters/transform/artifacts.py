"""What dbt did, read from the ``run_results.json`` that it leaves behind, its messages reduced to what holds no values.

Running dbt is ``worker``'s.
The format: https://docs.getdbt.com/reference/artifacts/run-results-json
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeline.ports.transformer import NodeResult, TransformResult

_STATUS = {"success", "error", "skipped", "pass", "warn", "fail"}
_OTHER_STATUS = {"no-op": "skipped"}

#: What the project's macros say; counts and test names, no values.
_AUDIT = re.compile(r"audit: (\d+) rows fail the test (\w+)")
_OVERTAKEN = "another build of this mart got further meanwhile"
#: Classes of errors as dbt and DuckDB put them in front of their messages; listed, since values may look like one.
_CLASS = re.compile(
    r"(?:^|\n)\s*((?:Compilation|Database|Parsing|Runtime|Binder|Catalog|Connection|Constraint|Conversion|Dependency"
    r"|Internal|Interrupt|Invalid Input|IO|Mismatch Type|Not implemented|Out of Memory|Out of Range|Parser|Permission"
    r"|Sequence|Serialization|Syntax|TransactionContext|Transaction) Error)\b"
)
#: Snowflake's numbers and SQLSTATEs, at the beginning of its messages: further on, a value may look like one.
_SNOWFLAKE = re.compile(r"(?:^|\n)\s*(\d{6} \([0-9A-Z]{5}\)):")


def read(path: Path, *, seconds: float) -> TransformResult:
    """The results in ``path``, none if dbt had nothing to do and wrote no file."""
    if not path.exists():
        return TransformResult(nodes=(), seconds=seconds)
    results = json.loads(path.read_text(encoding="utf-8"))["results"]
    return TransformResult(nodes=tuple(_node(result) for result in results), seconds=seconds)


def _node(result: Mapping[str, Any]) -> NodeResult:
    kind, _, name, *_ = str(result["unique_id"]).split(".")
    status = str(result["status"])
    rows = (result.get("adapter_response") or {}).get("rows_affected")
    return NodeResult(
        name=name,
        kind=kind,
        status=status if status in _STATUS else _OTHER_STATUS.get(status, "error"),
        seconds=float(result["execution_time"]),
        rows=int(rows) if rows is not None else None,
        message=_message(status, result),
    )


def _message(status: str, result: Mapping[str, Any]) -> str:
    """What went wrong, without row values (P10): counts, test names, error classes and codes."""
    if status in {"success", "pass", "skipped", "no-op"}:
        return ""
    if status in {"fail", "warn"}:
        return f"{result.get('failures') or 0} rows fail"
    return sanitized(str(result.get("message") or ""))


def sanitized(text: str) -> str:
    """A message of dbt or of a driver, reduced to its error classes and codes, or to what an audit found."""
    audit = _AUDIT.search(text)
    if audit:
        return f"{audit[1]} rows fail the test {audit[2]}; the previous table stays"
    if _OVERTAKEN in text:
        return f"{_OVERTAKEN}; this one changed nothing"
    found = dict.fromkeys(_CLASS.findall(text) + _SNOWFLAKE.findall(text))
    return ", ".join(found) or "error without a class"
