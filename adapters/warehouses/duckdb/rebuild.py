"""Builds a staging table anew from its changelog, in pieces of bounded size, when the mode of a stream changes (G8).

How a piece is applied is ``applying``'s; when to rebuild is decided in the use cases.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import attrs
import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from adapters.warehouses.duckdb import sql
from adapters.warehouses.duckdb.applying import Applier
from adapters.warehouses.duckdb.incoming import Stamp, as_changes
from adapters.warehouses.duckdb.tables import recreate_staging, refuse_keyless
from pipeline.domain.change import SEQUENCE
from pipeline.domain.loading import LoadStep, Target
from pipeline.domain.planning import plan_steps
from pipeline.domain.stream import Mode
from pipeline.domain.tables import LOAD, LOADED_AT

#: Changelog rows that are replayed together (P11).
PIECE_ROWS = 200_000


@attrs.frozen
class _Copy:
    """A load that copied the stream anew: its number, its time, and the changelog rows that it made, [begin, end)."""

    load: int
    at: datetime
    begin: int
    end: int


def rebuild(connection: duckdb.DuckDBPyConnection, target: Target, *, piece_rows: int = PIECE_ROWS) -> None:
    """Replay the changelog into an empty staging table of the target's mode, within the open transaction."""
    refuse_keyless(target)
    recreate_staging(connection, target)
    if target.mode is Mode.APPEND:
        return
    applier = Applier(connection)
    end = _end_of(connection, target)
    place = 0
    for copy in _copies(connection, target, end):
        _replay(connection, applier, target, rows=(place, copy.begin), piece_rows=piece_rows)
        applier.begin_copy(target)
        _replay(connection, applier, target, rows=(copy.begin, copy.end), piece_rows=piece_rows)
        applier.end_copy(target, load=copy.load, at=copy.at)
        place = copy.end
    _replay(connection, applier, target, rows=(place, end), piece_rows=piece_rows)


def _replay(
    connection: duckdb.DuckDBPyConnection, applier: Applier, target: Target, *, rows: tuple[int, int], piece_rows: int
) -> None:
    """Apply the changelog rows from one place in it to another; rows stand there in the order they were loaded."""
    for rows_of_piece in _pieces(connection, target, rows=rows, piece_rows=piece_rows):
        for step in plan_steps(target, as_changes(rows_of_piece, target.schema)):
            _apply(applier, step, rows_of_piece)


def _pieces(
    connection: duckdb.DuckDBPyConnection, target: Target, *, rows: tuple[int, int], piece_rows: int
) -> Iterator[pa.Table]:
    begin, end = rows
    query = f"SELECT * FROM {sql.changelog(target)} WHERE rowid >= $begin AND rowid < $end ORDER BY rowid"
    for first in range(begin, end, piece_rows):
        values = {"begin": first, "end": min(first + piece_rows, end)}
        piece = connection.sql(query, params=values).to_arrow_table()
        if piece.num_rows:
            yield piece


def _apply(applier: Applier, step: LoadStep, rows: pa.Table) -> None:
    """Each state belongs to the load of the change that it stands for."""
    sequences = rows[SEQUENCE].combine_chunks()
    if step.truncate is not None:
        at = pc.index(sequences, pa.scalar(step.truncate.sequence, sequences.type)).as_py()
        stamp = Stamp(rows[LOAD][at].as_py(), rows[LOADED_AT].cast(pa.int64())[at].as_py() * _MICROSECOND + _EPOCH)
        applier.truncate(step.target, step.truncate, stamp)
    places = pc.index_in(step.state[SEQUENCE], value_set=sequences)
    state = step.state.append_column(LOAD, rows[LOAD].take(places)).append_column(
        LOADED_AT, rows[LOADED_AT].take(places)
    )
    applier.apply(step.target, state)


def _copies(connection: duckdb.DuckDBPyConnection, target: Target, end: int) -> list[_Copy]:
    query = f"""SELECT c.load, epoch_us(c."at"),
    coalesce((SELECT min(rowid) FROM {sql.changelog(target)} WHERE "_cdc_load" >= c.load), $end),
    coalesce((SELECT min(rowid) FROM {sql.changelog(target)} WHERE "_cdc_load" > c.load), $end)
FROM pipeline.copies AS c WHERE c.table_name = $table ORDER BY c.load"""
    rows = connection.execute(query, {"table": target.table, "end": end}).fetchall()
    return [_Copy(load, _EPOCH + at * _MICROSECOND, begin, finish) for load, at, begin, finish in rows]


def _end_of(connection: duckdb.DuckDBPyConnection, target: Target) -> int:
    row = connection.execute(f"SELECT coalesce(max(rowid) + 1, 0) FROM {sql.changelog(target)}").fetchone()
    return 0 if row is None else int(row[0])


_MICROSECOND = timedelta(microseconds=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
