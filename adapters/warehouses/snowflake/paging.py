"""Reads many rows of a table in the order of load and sequence, some for each statement, so that a place to go on from
is always known.

The service keeps a result for a day, but lets its parts be fetched for six hours only, after which the rows of one that
is worked off slowly would end in the middle: https://docs.snowflake.com/en/user-guide/querying-persisted-results. A
page takes minutes. That nobody writes in between is up to those who read.
"""

from __future__ import annotations

from collections.abc import Iterator

import attrs
import pyarrow as pa

from adapters.warehouses.snowflake.session import Session
from adapters.warehouses.snowflake.statement import Statement, columns, quote, stored

#: Bytes that are handed out together at most, where one part of a result has no more (P11). Parts begin small.
PIECE_BYTES = 32 * 1024 * 1024

#: The load and the sequence of a row: no two rows of a table have both.
Place = tuple[int, int]


@attrs.frozen
class Pages:
    """A SELECT of ``selected``, which has the columns ``order`` under their own names, from ``table``, the rows that
    ``where`` allows, so many ``rows`` a page. ``order`` are the columns of load and sequence.
    """

    selected: str
    table: str
    order: tuple[str, str]
    rows: int
    where: str = ""

    def statement(self, after: Place | None) -> Statement:
        """The page after a place. Parts of a table before its load are not read: loads were written one by one."""
        load, sequence = map(quote, self.order)
        conditions = [f"({self.where})"] if self.where else []
        if after is not None:
            conditions.append(f"{load} >= ? AND ({load} > ? OR {sequence} > ?)")
        where = f"\nWHERE {' AND '.join(conditions)}" if conditions else ""
        return Statement(
            f"SELECT {self.selected} FROM {self.table}{where}\nORDER BY {columns(self.order)} LIMIT {self.rows}",
            [] if after is None else [after[0], after[0], after[1]],
        )

    def read(self, session: Session) -> Iterator[pa.Table]:
        """All rows, in pieces of ``rows`` or less."""
        after: Place | None = None
        while True:
            count = 0
            for piece in _pieces(session.batches(self.statement(after))):
                count += piece.num_rows
                after = self._end(piece)
                yield piece
            if count < self.rows:
                return

    def _end(self, piece: pa.Table) -> Place:
        load, sequence = (int(piece[stored(name)][-1].as_py()) for name in self.order)
        return load, sequence


def _pieces(parts: Iterator[pa.Table]) -> Iterator[pa.Table]:
    held: list[pa.Table] = []
    for part in parts:
        if part.num_rows:
            held.append(part)
        if sum(each.nbytes for each in held) >= PIECE_BYTES:
            yield pa.concat_tables(held, promote_options="permissive")
            held = []
    if held:
        yield pa.concat_tables(held, promote_options="permissive")
