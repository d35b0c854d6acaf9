"""Collects the pieces of a copy until they fill whole row groups, which DuckDB compresses side by side, a thread each.

What is then written is ``applying``'s.
"""

from __future__ import annotations

import attrs
import pyarrow as pa

from pipeline.domain.loading import LoadStep, Target
from pipeline.domain.planning import plan_copy

#: Rows of one of DuckDB's row groups. A thread that gets exactly so many leaves no rest, which DuckDB would have to
#: write once more to join it with others.
ROW_GROUP = 122_880

#: Row groups that are written together, and bytes that may wait until there are so many (P11).
WRITE_GROUPS = 2
WRITE_BYTES = 32 * 1024 * 1024


@attrs.define
class RowGroups:
    """The rows of one copy on their way to the tables."""

    target: Target
    _tables: list[pa.Table] = attrs.field(factory=list)
    _row_count: int = 0
    _byte_count: int = 0

    def add(self, changes: pa.Table) -> LoadStep | None:
        """Take rows; what to write now, if there is enough for it."""
        self._tables.append(changes)
        self._row_count += changes.num_rows
        self._byte_count += changes.nbytes
        if self._row_count < WRITE_GROUPS * ROW_GROUP and self._byte_count < WRITE_BYTES:
            return None
        return self._taken(self._row_count // ROW_GROUP * ROW_GROUP or self._row_count)

    def rest(self) -> LoadStep | None:
        """What is left at the end."""
        return self._taken(self._row_count) if self._tables else None

    def _taken(self, row_count: int) -> LoadStep:
        changes = pa.concat_tables(self._tables)
        self._tables, self._row_count, self._byte_count = [], 0, 0
        if row_count < changes.num_rows:
            self.add(changes.slice(row_count))
        return plan_copy(self.target, _in_row_groups(changes.slice(0, row_count)))


def _in_row_groups(table: pa.Table) -> pa.Table:
    """The table with a chunk per row group: DuckDB hands out chunks to its threads."""
    batches = table.combine_chunks().to_batches(max_chunksize=ROW_GROUP)
    return pa.Table.from_batches(batches, schema=table.schema)
