"""Builds a staging table anew from its changelog, in pieces of bounded size, when the mode of a stream changes (G8).

How a piece is applied is ``applying``'s; when to rebuild is decided in the use cases.
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
from adapters.warehouses.duckdb.incoming import Stamp, as_changes
from adapters.warehouses.duckdb.tables import recreate_staging, refuse_keyless
from pipeline.domain.change import SEQUENCE
from pipeline.domain.loading import LoadStep, Target
from pipeline.domain.planning import plan_steps
from pipeline.domain.stream import Mode
from pipeline.domain.tables import LOAD, LOADED_AT

#: Changelog rows that are replayed together (P11).
PIECE_ROWS = 200_000


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
    if target.mode is Mode.APPEND:
        return
    applier = Applier(connection)
    copies = _Copies(applier, target, _read_copies(reader, target))
    query = f'SELECT * FROM {sql.changelog(target)} ORDER BY "_cdc_load", "_cdc_sequence"'
    for batch in reader.sql(query).to_arrow_reader(piece_rows):
        for rows in copies.split(pa.table(batch)):
            copies.advance(rows[LOAD][0].as_py())
            for step in plan_steps(target, as_changes(rows, target.schema)):
                _apply(applier, step, rows)
    copies.finish()


@attrs.frozen
class _Copy:
    """A load that copied the stream anew."""

    load: int
    at: datetime


@attrs.define
class _Copies:
    """Begins and ends copies between the changelog rows of other loads."""

    applier: Applier
    target: Target
    pending: list[_Copy]
    begun: _Copy | None = None

    def split(self, rows: pa.Table) -> Iterator[pa.Table]:
        """The rows cut so that no part lies on both sides of a beginning or end."""
        loads = rows[LOAD].to_numpy()
        copied = np.array([copy.load for copy in self._known()], np.int64)
        part = 2 * np.searchsorted(copied, loads) + np.isin(loads, copied)
        cuts = [0, *(np.flatnonzero(np.diff(part)) + 1).tolist(), len(loads)]
        for begin, end in pairwise(cuts):
            if end > begin:
                yield rows.slice(begin, end - begin)

    def advance(self, load: int) -> None:
        """End and begin what comes before the rows of ``load``."""
        if self.begun is not None and self.begun.load < load:
            self._end()
        while self.pending and self.pending[0].load <= load:
            self.begun = self.pending.pop(0)
            self.applier.begin_copy(self.target)
            if self.begun.load < load:
                self._end()

    def finish(self) -> None:
        """End what is left: copies that held no row among them."""
        if self.begun is not None:
            self._end()
        for copy in self.pending:
            self.begun = copy
            self.applier.begin_copy(self.target)
            self._end()

    def _known(self) -> list[_Copy]:
        return ([] if self.begun is None else [self.begun]) + self.pending

    def _end(self) -> None:
        if self.begun is not None:
            self.applier.end_copy(self.target, load=self.begun.load, at=self.begun.at)
            self.begun = None


def _apply(applier: Applier, step: LoadStep, rows: pa.Table) -> None:
    """Each state belongs to the load of the change that it stands for."""
    sequences = rows[SEQUENCE].combine_chunks()
    if step.truncate is not None:
        place = sequences.index(pa.scalar(step.truncate.sequence, sequences.type)).as_py()
        at = rows[LOADED_AT].cast(pa.int64())[place].as_py()
        applier.truncate(step.target, step.truncate, Stamp(rows[LOAD][place].as_py(), _instant(at)))
    places = pc.index_in(step.state[SEQUENCE], value_set=sequences)
    state = step.state.append_column(LOAD, rows[LOAD].take(places))
    applier.apply(step.target, state.append_column(LOADED_AT, rows[LOADED_AT].take(places)))


def _read_copies(connection: duckdb.DuckDBPyConnection, target: Target) -> list[_Copy]:
    query = 'SELECT load, epoch_us("at") FROM pipeline.copies WHERE table_name = $table ORDER BY load'
    rows = connection.execute(query, {"table": target.table}).fetchall()
    return [_Copy(load, _instant(at)) for load, at in rows]


def _instant(microseconds: int) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=microseconds)
