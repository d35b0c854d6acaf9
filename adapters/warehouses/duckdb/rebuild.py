"""Builds a staging table anew from its changelog, in pieces of bounded size, when the mode of a stream changes (G8).

In which order things are replayed is ``replaying``'s, how a piece is applied ``applying``'s.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import attrs
import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from adapters.warehouses.duckdb import sql
from adapters.warehouses.duckdb.applying import Applier
from adapters.warehouses.duckdb.tables import recreate_staging
from adapters.warehouses.duckdb.types import column_type
from adapters.warehouses.refusals import refuse_keyless
from adapters.warehouses.replaying import PIECE_ROWS, Copy, replay
from pipeline.domain.loading import Target
from pipeline.domain.schema import StreamSchema
from pipeline.domain.stream import Mode

#: Bytes of texts and documents that are replayed together at most, where one row has no more (P11).
PIECE_BYTES = 32 * 1024 * 1024


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


@attrs.frozen
class _Cut:
    """The rows from one load and sequence to another, and the lowest and highest sequence among them."""

    loads: tuple[int, int]
    ends: tuple[int, int]
    sequences: tuple[int, int]


def _pieces(reader: duckdb.DuckDBPyConnection, target: Target, piece_rows: int) -> Iterator[pa.Table]:
    """The changelog in order; each piece is sorted by itself, since DuckDB cannot sort many wide rows in little memory.

    What tells pieces apart is what DuckDB's zone maps know, so that each is found without reading the others.
    """
    query = f"""SELECT * FROM {sql.changelog(target)}
WHERE "_cdc_load" BETWEEN $first AND $last AND "_cdc_sequence" BETWEEN $lowest AND $highest
    AND NOT ("_cdc_load" = $first AND "_cdc_sequence" < $begin)
    AND NOT ("_cdc_load" = $last AND "_cdc_sequence" > $end)
ORDER BY "_cdc_load", "_cdc_sequence\""""
    for cut in _cuts(reader, target, piece_rows):
        (first, last), (begin, end), (lowest, highest) = cut.loads, cut.ends, cut.sequences
        values = {"first": first, "last": last, "begin": begin, "end": end, "lowest": lowest, "highest": highest}
        yield reader.sql(query, params=values).to_arrow_table()


def _cuts(reader: duckdb.DuckDBPyConnection, target: Target, piece_rows: int) -> list[_Cut]:
    query = f"""SELECT "_cdc_load", "_cdc_sequence", {_size(target.schema)} AS size FROM {sql.changelog(target)}
ORDER BY "_cdc_load", "_cdc_sequence\""""
    cuts = []
    for batch in reader.sql(query).to_arrow_reader(piece_rows):
        filled = np.cumsum(batch.column("size").to_numpy()) // PIECE_BYTES
        bounds = [0, *(np.flatnonzero(np.diff(filled)) + 1).tolist(), batch.num_rows]
        cuts += [_cut(batch.slice(begin, end - begin)) for begin, end in pairwise(bounds)]
    return cuts


def _cut(rows: pa.RecordBatch) -> _Cut:
    loads, sequences = rows.column(0), rows.column(1)
    among = pc.min_max(sequences)
    return _Cut(
        (loads[0].as_py(), loads[-1].as_py()),
        (int(sequences[0].as_py()), int(sequences[-1].as_py())),
        (int(among["min"].as_py()), int(among["max"].as_py())),
    )


def _size(schema: StreamSchema) -> str:
    """The bytes of a row's values that may be long."""
    functions = {"VARCHAR": "strlen", "JSON": "strlen", "BLOB": "octet_length"}
    sizes = [
        f"coalesce({functions[kind]}({sql.quote(column.name)}), 0)"
        for column in schema.columns
        if (kind := column_type(column)) in functions
    ]
    return f"({' + '.join(['0', *sizes])})::BIGINT"


def _read_copies(connection: duckdb.DuckDBPyConnection, target: Target) -> list[Copy]:
    query = 'SELECT load, epoch_us("at") FROM pipeline.copies WHERE table_name = $table ORDER BY load'
    rows = connection.execute(query, {"table": target.table}).fetchall()
    return [Copy(load, datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=at)) for load, at in rows]
