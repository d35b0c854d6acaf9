"""Builds a staging table anew from its changelog, in pieces of bounded size, when the mode of a stream changes (G8).

In which order things are replayed is ``replaying``'s, how a piece is applied ``applying``'s.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import duckdb
import pyarrow as pa

from adapters.warehouses.duckdb import sql
from adapters.warehouses.duckdb.applying import Applier
from adapters.warehouses.duckdb.tables import recreate_staging, refuse_keyless
from adapters.warehouses.replaying import PIECE_ROWS, Copy, replay
from pipeline.domain.loading import Target
from pipeline.domain.stream import Mode


def rebuild(
    connection: duckdb.DuckDBPyConnection,
    reader: duckdb.DuckDBPyConnection,
    target: Target,
    *,
    piece_rows: int = PIECE_ROWS,
) -> None:
    """Replay the changelog into an empty staging table of the target's mode, within the open transaction.

    ``reader`` is a second connection, by which the changelog is read meanwhile.
    """
    refuse_keyless(target)
    recreate_staging(connection, target)
    if target.mode is not Mode.APPEND:
        replay(_pieces(reader, target, piece_rows), _read_copies(reader, target), target, Applier(connection))


def _pieces(reader: duckdb.DuckDBPyConnection, target: Target, piece_rows: int) -> Iterator[pa.Table]:
    query = f'SELECT * FROM {sql.changelog(target)} ORDER BY "_cdc_load", "_cdc_sequence"'
    for batch in reader.sql(query).to_arrow_reader(piece_rows):
        yield pa.table(batch)


def _read_copies(connection: duckdb.DuckDBPyConnection, target: Target) -> list[Copy]:
    query = 'SELECT load, epoch_us("at") FROM pipeline.copies WHERE table_name = $table ORDER BY load'
    rows = connection.execute(query, {"table": target.table}).fetchall()
    return [Copy(load, datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=at)) for load, at in rows]
