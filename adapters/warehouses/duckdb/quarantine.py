"""Keeps quarantined rows and what became of them.

Which rows wait and which are settled is decided by the domain.
"""

from __future__ import annotations

import duckdb
import pyarrow as pa

from adapters.warehouses.changerows import Stamp
from adapters.warehouses.duckdb import sql
from adapters.warehouses.duckdb.relay import relayed
from pipeline.domain.loading import Target
from pipeline.domain.quarantine import QUARANTINE_SCHEMA, STATUS_SUPERSEDED, STATUS_WAITING, Waiting


def insert(connection: duckdb.DuckDBPyConnection, target: Target, rows: pa.Table, stamp: Stamp) -> None:
    """Set rows apart."""
    names = sql.columns(QUARANTINE_SCHEMA.names)
    with relayed(connection, rows) as incoming:
        connection.execute(
            f"""INSERT INTO {sql.quarantine(target)} ({names}, status, load, quarantined_at)
SELECT {names}, $status, $load, $at FROM {incoming}""",
            {"status": STATUS_WAITING, "load": stamp.load, "at": stamp.at},
        )


def settle(connection: duckdb.DuckDBPyConnection, target: Target, settled: pa.Table, stamp: Stamp) -> None:
    """Give waiting rows the status of the first line that concerns them."""
    numbered = settled.append_column("number", pa.array(range(settled.num_rows), pa.int64()))
    with relayed(connection, numbered) as incoming:
        connection.execute(
            f"""UPDATE {sql.quarantine(target)} AS q
SET status = chosen.status, settled_load = $load, settled_at = $at
FROM (
    SELECT w.rowid AS waiting_row, arg_min(s.status, s.number) AS status
    FROM {sql.quarantine(target)} AS w
    JOIN {incoming} AS s ON (s.key IS NULL OR s.key = w.key) AND w.sequence < s.before
    WHERE w.status = $waiting GROUP BY w.rowid
) AS chosen
WHERE q.rowid = chosen.waiting_row""",
            {"load": stamp.load, "at": stamp.at, "waiting": STATUS_WAITING},
        )


def supersede(connection: duckdb.DuckDBPyConnection, target: Target, stamp: Stamp) -> None:
    """Close everything that waits, since the stream is copied again."""
    connection.execute(
        f"""UPDATE {sql.quarantine(target)}
SET status = $status, settled_load = $load, settled_at = $at WHERE status = $waiting""",
        {"status": STATUS_SUPERSEDED, "load": stamp.load, "at": stamp.at, "waiting": STATUS_WAITING},
    )


def waiting(connection: duckdb.DuckDBPyConnection, target: Target) -> Waiting:
    """The keys that wait; of the rows, only those that changed their key are needed whole."""
    rows = connection.execute(
        f"""SELECT key, CASE WHEN contains("row", '"_cdc_old_key":') THEN "row" ELSE '' END
FROM {sql.quarantine(target)} WHERE status = $waiting""",
        {"waiting": STATUS_WAITING},
    ).fetchall()
    return Waiting.of([key for key, _ in rows], [row for _, row in rows])
