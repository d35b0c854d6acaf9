"""Replays a changelog piece by piece as the loads that it came from, copies among them, when a mode changes (G8).

How a piece is applied is each warehouse adapter's, as an ``Applier``; so is reading the changelog.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Protocol

import attrs
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from adapters.warehouses.changerows import Stamp, as_changes
from pipeline.domain.change import SEQUENCE
from pipeline.domain.loading import LoadStep, Target, Truncation
from pipeline.domain.planning import plan_steps
from pipeline.domain.tables import LOAD, LOADED_AT

#: Changelog rows that are replayed together (P11).
PIECE_ROWS = 200_000


class Applier(Protocol):
    """Applies pieces to a staging table."""

    def truncate(self, target: Target, truncation: Truncation, stamp: Stamp) -> None:
        """Apply a TRUNCATE."""
        ...

    def apply(self, target: Target, state: pa.Table) -> None:
        """Apply a state, which carries ``_cdc_load`` and ``_cdc_loaded_at``."""
        ...

    def begin_copy(self, target: Target) -> None:
        """Begin a copy, as ``Load.replace`` tells."""
        ...

    def end_copy(self, target: Target, *, load: int, at: datetime) -> None:
        """End a copy, as ``Load.finish_replace`` tells. ``load`` is the copy's."""
        ...


@attrs.frozen
class Copy:
    """A load that copied the stream anew."""

    load: int
    at: datetime


def replay(pieces: Iterable[pa.Table], copies: list[Copy], target: Target, applier: Applier) -> None:
    """Apply changelog rows, in order of load and sequence, as their loads did; ``copies`` are in order of load."""
    turns = _Copies(applier, target, copies)
    for piece in pieces:
        for rows in turns.split(piece):
            turns.advance(rows[LOAD][0].as_py())
            for step in plan_steps(target, as_changes(rows, target.schema)):
                _apply(applier, step, rows)
    turns.finish()


@attrs.define
class _Copies:
    """Begins and ends copies between the changelog rows of other loads."""

    applier: Applier
    target: Target
    pending: list[Copy]
    begun: Copy | None = None

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

    def _known(self) -> list[Copy]:
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


def _instant(microseconds: int) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=microseconds)
