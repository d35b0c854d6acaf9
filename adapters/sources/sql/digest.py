"""One short text for all rows of a table, whatever order they come in: equal texts, equal rows.

Which rows it is of is the caller's affair.
"""

from __future__ import annotations

import numpy as np

from adapters.sources.sql.database import Fetched
from pipeline.domain.fingerprint import fingerprints


class RowsDigest:
    """Sums of the rows' fingerprints, modulo 2**64 each half, and their count: equal rows count as often as they are
    there. Rows that differ have equal digests by chance alone.
    """

    def __init__(self) -> None:
        self._sums = np.zeros(2, dtype=np.uint64)
        self._count = 0

    def add(self, piece: Fetched) -> None:
        """Take more rows in."""
        halves = fingerprints(piece.table, misfits=piece.misfits)
        self._sums += halves.sum(axis=1, dtype=np.uint64)
        self._count += piece.table.num_rows

    def text(self) -> str:
        """The digest of the rows so far."""
        return f"{self._count}:{self._sums[0]:016x}{self._sums[1]:016x}"
