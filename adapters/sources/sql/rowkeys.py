"""A key for rows that have none: the fingerprint of the whole row, and which of its equals it is.

Two rows that are alike in every column get the keys ``...-1`` and ``...-2``: none is lost, and when one of them is
deleted the last is gone. How rows are read is ``extractor``'s affair.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.domain.change import Misfit
from pipeline.domain.fingerprint import fingerprints, hexadecimal

#: The name of the column, unless the table has one called so.
ROW_KEY = "row_key"


class RowKeys:
    """Gives the keys of one reading, piece by piece; what it has to know of rows before are 12 bytes each."""

    def __init__(self) -> None:
        #: Sorted numbers with how often each was seen, of falling lengths.
        self._runs: list[tuple[np.ndarray, np.ndarray]] = []

    def of(self, table: pa.Table, misfits: tuple[Misfit, ...]) -> pa.Array:
        """The keys of more rows."""
        halves = fingerprints(table, misfits=misfits)
        numbers = halves[0] ^ halves[1]
        order = np.argsort(numbers, kind="stable")
        ranked = numbers[order]
        distinct, first, counts = np.unique(ranked, return_index=True, return_counts=True)
        before = np.repeat(self._seen(distinct), counts)
        within = np.arange(len(ranked)) - np.repeat(first, counts)
        occurrence = np.empty(len(ranked), dtype=np.int64)
        occurrence[order] = before + within + 1
        self._add(distinct, counts.astype(np.int32))
        return pc.binary_join_element_wise(hexadecimal(halves), pa.array(occurrence).cast(pa.string()), "-")

    def _seen(self, distinct: np.ndarray) -> np.ndarray:
        seen = np.zeros(len(distinct), dtype=np.int64)
        for numbers, counts in self._runs:
            at = np.minimum(np.searchsorted(numbers, distinct), len(numbers) - 1)
            seen += np.where(numbers[at] == distinct, counts[at], 0)
        return seen

    def _add(self, numbers: np.ndarray, counts: np.ndarray) -> None:
        if not len(numbers):
            return
        while self._runs and len(self._runs[-1][0]) <= 2 * len(numbers):
            others, their_counts = self._runs.pop()
            joined, places = np.unique(np.concatenate([others, numbers]), return_inverse=True)
            summed = np.zeros(len(joined), dtype=np.int32)
            np.add.at(summed, places, np.concatenate([their_counts, counts]))
            numbers, counts = joined, summed
        self._runs.append((numbers, counts))
