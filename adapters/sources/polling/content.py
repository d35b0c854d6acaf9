"""What a whole reading held, as one short text: the same for the same rows under the same columns, in any order.

What follows from that is ``look``'s to say.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from pipeline.domain.change import Misfit
from pipeline.domain.fingerprint import fingerprints
from pipeline.domain.schema import StreamSchema


class Content:
    """Sums up rows."""

    def __init__(self, schema: StreamSchema) -> None:
        columns = "\n".join(f"{column.name}\0{column.type}\0{column.json}" for column in schema.columns)
        columns += "\n\n" + "\0".join(schema.key)
        self._columns = hashlib.blake2b(columns.encode(), digest_size=16).hexdigest()
        self._sums = np.zeros(2, dtype=np.uint64)
        self._count = 0

    def add(self, table: pa.Table, *, misfits: Sequence[Misfit] = ()) -> None:
        """Add rows."""
        self._sums += fingerprints(table, misfits=misfits).sum(axis=1, dtype=np.uint64)
        self._count += table.num_rows

    @property
    def text(self) -> str:
        """What was added so far."""
        first, second = self._sums.tolist()
        return f"{self._count}:{first:016x}{second:016x}:{self._columns}"
