"""The audit: what each load did to each stream, and which streams changed since.

A load's rows are written within its transaction (``load``) and never changed.
"""

from __future__ import annotations

from collections.abc import Mapping

import attrs

from adapters.warehouses.snowflake import sql
from adapters.warehouses.snowflake.control import TABLES, is_of, own, utc
from adapters.warehouses.snowflake.session import Session
from adapters.warehouses.snowflake.statement import Statement, columns, quote
from adapters.warehouses.snowflake.types import BOUND_INSTANT
from pipeline.domain.checkpoint import Checkpoint
from pipeline.domain.counts import StreamCounts


def write_audit(
    checkpoint: Checkpoint, seconds: float, counts: Mapping[str, StreamCounts], *, statement_count: int
) -> Statement:
    """Write the audit rows of a load, whose transaction has so many statements, this one included."""
    at = sql.instant(checkpoint.at)
    head = (checkpoint.group, checkpoint.load, checkpoint.position.encode(), at, seconds, statement_count)
    told: list[tuple[str | None, StreamCounts]] = [*counts.items()] or [(None, StreamCounts())]
    rows = [(*head, stream, *attrs.astuple(count)) for stream, count in told]
    places = ", ".join(BOUND_INSTANT if name == "at" else "?" for name in TABLES["loads"])
    listed = ",\n".join([f"({places})"] * len(rows))
    return Statement(
        f"INSERT INTO {own('loads')} ({columns(TABLES['loads'])})\nVALUES {listed}",
        [value for row in rows for value in row],
    )


def read_audit(session: Session, group: str, *, limit: int) -> list[dict[str, object]]:
    """The latest loads, newest first."""
    text = f"""SELECT {columns(name for name in TABLES["loads"] if name != "group")}
FROM {own("loads")} WHERE {quote("group")} = ?
QUALIFY DENSE_RANK() OVER (ORDER BY {quote("load")} DESC) <= ? ORDER BY {quote("load")} DESC, {quote("stream")}"""
    loads: dict[int, dict[str, object]] = {}
    streams: dict[int, dict[str, StreamCounts]] = {}
    for load, position, at, seconds, statement_count, stream, *counts in session.rows(Statement(text, [group, limit])):
        number = int(load)
        counted = streams.setdefault(number, {})
        loads[number] = {
            "load": number,
            "position": position,
            "at": utc(at),
            "seconds": float(seconds),
            "statement_count": int(statement_count),
            "counts": counted,
        }
        if stream is not None:
            counted[stream] = StreamCounts(*map(int, counts))
    return list(loads.values())


def read_changed(session: Session, group: str, load: int) -> frozenset[str]:
    """The streams that loads after number ``load`` wrote to, or copied anew."""
    text = f"""SELECT DISTINCT l.{quote("stream")} FROM {own("loads")} AS l
LEFT JOIN {own("streams")} AS s ON s.{quote("group")} = l.{quote("group")} AND s.{quote("stream")} = l.{quote("stream")}
LEFT JOIN {own("copies")} AS c
    ON c.{quote("table_name")} = s.{quote("table_name")} AND c.{quote("load")} = l.{quote("load")}
WHERE l.{is_of(group)} AND l.{quote("load")} > {load} AND l.{quote("stream")} IS NOT NULL
    AND (l.{quote("changelog_count")} > 0 OR c.{quote("load")} IS NOT NULL)"""
    return frozenset(row[0] for row in session.rows(Statement(text)))
