"""Which columns an update left out of the log, row by row, looked at one column at a time.

Filling such columns in is the work of ``compaction`` and of the warehouse.
"""

from __future__ import annotations

import attrs
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.domain.change import UNCHANGED
from pipeline.domain.valuetext import one_array


@attrs.frozen(eq=False)
class Unchanged:
    """The entries of ``_cdc_unchanged`` laid flat: ``names[i]`` is unchanged in row ``rows[i]``."""

    row_count: int
    rows: np.ndarray
    names: pa.Array

    @classmethod
    def of(cls, table: pa.Table) -> Unchanged:
        """What the table's updates left out."""
        column = table[UNCHANGED]
        if column.null_count == len(column):
            return cls(len(column), np.empty(0, np.int64), pa.array([], pa.string()))
        lists = one_array(column)
        return cls(len(lists), pc.list_parent_indices(lists).to_numpy(), pc.list_flatten(lists))

    def mask(self, column: str) -> np.ndarray | None:
        """The rows (boolean) in which ``column`` is unchanged, None if there is none."""
        if not len(self.rows):
            return None
        hits = self.rows[pc.equal(self.names, column).to_numpy(zero_copy_only=False)]
        if not len(hits):
            return None
        mask = np.zeros(self.row_count, dtype=bool)
        mask[hits] = True
        return mask

    def partial(self) -> np.ndarray:
        """The rows (boolean) in which any column is unchanged."""
        mask = np.zeros(self.row_count, dtype=bool)
        mask[self.rows] = True
        return mask
