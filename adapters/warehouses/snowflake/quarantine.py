"""Keeps quarantined rows and what became of them.

Which rows wait and which are settled is decided by the domain.
"""

from __future__ import annotations

import pyarrow as pa

from adapters.warehouses.changerows import Stamp
from adapters.warehouses.snowflake import sql
from adapters.warehouses.snowflake.files import FileColumn, file_columns, from_file
from adapters.warehouses.snowflake.session import Session
from adapters.warehouses.snowflake.statement import Statement, columns, quote
from adapters.warehouses.snowflake.types import BOUND_INSTANT
from pipeline.domain.change import COMMIT_AT_TYPE
from pipeline.domain.loading import Target
from pipeline.domain.quarantine import SETTLED_SCHEMA, STATUS_SUPERSEDED, STATUS_WAITING, Waiting
from pipeline.domain.tables import QUARANTINE_TABLE_SCHEMA

#: The columns of a file of rows that are set apart.
ROWS = file_columns(QUARANTINE_TABLE_SCHEMA)
#: The columns of a file of what is settled; ``number`` is the order of the lines.
SETTLED = (*file_columns(SETTLED_SCHEMA), FileColumn("number", pa.int64()))


def waiting_rows(rows: pa.Table, stamp: Stamp) -> pa.Table:
    """Rows that are set apart with the columns of their table."""
    count = rows.num_rows
    added = {
        "status": pa.repeat(STATUS_WAITING, count),
        "load": pa.repeat(pa.scalar(stamp.load, pa.int64()), count),
        "quarantined_at": pa.repeat(pa.scalar(stamp.at, COMMIT_AT_TYPE), count),
        "settled_load": pa.nulls(count, pa.int64()),
        "settled_at": pa.nulls(count, COMMIT_AT_TYPE),
    }
    return pa.table([*rows.columns, *added.values()], schema=QUARANTINE_TABLE_SCHEMA)


def numbered(settled: pa.Table) -> pa.Table:
    """Lines of what is settled with their numbers."""
    return settled.append_column("number", pa.array(range(settled.num_rows), pa.int64()))


def settle(target: Target, path: str, stamp: Stamp) -> Statement:
    """Give waiting rows the status of the first line in the staged file that concerns them."""
    table = sql.quarantine(target)
    key, sequence, status = map(quote, ("key", "sequence", "status"))
    return Statement(
        f"""MERGE INTO {table} AS t
USING (
    SELECT w.{key}, w.{sequence}, MIN_BY(s.{status}, s.{quote("number")}) AS {status}
    FROM {table} AS w
    JOIN ({from_file(SETTLED, path)}) AS s
        ON (s.{key} IS NULL OR s.{key} = w.{key}) AND w.{sequence} < s.{quote("before")}
    WHERE w.{status} = ? GROUP BY w.{key}, w.{sequence}
) AS c
ON t.{key} = c.{key} AND t.{sequence} = c.{sequence} AND t.{status} = ?
WHEN MATCHED THEN UPDATE SET {status} = c.{status},
    {quote("settled_load")} = ?, {quote("settled_at")} = {BOUND_INSTANT}""",
        [STATUS_WAITING, STATUS_WAITING, stamp.load, sql.instant(stamp.at)],
    )


def supersede(target: Target, stamp: Stamp) -> Statement:
    """Close everything that waits, since the stream is copied again."""
    return Statement(
        f"""UPDATE {sql.quarantine(target)}
SET {quote("status")} = ?, {quote("settled_load")} = ?, {quote("settled_at")} = {BOUND_INSTANT}
WHERE {quote("status")} = ?""",
        [STATUS_SUPERSEDED, stamp.load, sql.instant(stamp.at), STATUS_WAITING],
    )


def waiting(session: Session, target: Target) -> Waiting:
    """The keys that wait; of the rows, only those that changed their key are needed whole."""
    row = quote("row")
    rows = session.rows(
        Statement(
            f"""SELECT {columns(["key"])}, IFF(CONTAINS({row}, '"_cdc_old_key":'), {row}, '')
FROM {sql.quarantine(target)} WHERE {quote("status")} = ?""",
            [STATUS_WAITING],
        )
    )
    return Waiting.of([key for key, _ in rows], [text for _, text in rows])
