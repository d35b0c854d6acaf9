"""Lets statements read one Arrow table after the other under a name, without DuckDB keeping those that are done with.

DuckDB holds whatever is registered on a connection until the transaction ends, also when it was replaced or taken back:
pieces of one large load would pile up in memory (P11). So it is given something small that tables pass through.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import attrs
import duckdb
import pyarrow as pa


@attrs.define(eq=False)
class _Stand:
    """Where DuckDB looks for rows: it asks anew for each statement. See the Arrow PyCapsule interface,
    https://arrow.apache.org/docs/format/CDataInterface/PyCapsuleInterface.html.
    """

    table: pa.Table

    def __arrow_c_schema__(self) -> object:
        return self.table.schema.__arrow_c_schema__()

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        return self.table.__arrow_c_stream__(requested_schema)


class Relay:
    """The tables that pass through one connection. A name stands for one schema for as long as a transaction lasts, so
    each schema gets a name of its own.
    """

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self._connection = connection
        self._stands: dict[tuple[str, pa.Schema], tuple[str, _Stand]] = {}
        self._taken: list[_Stand] = []

    def put(self, name: str, table: pa.Table) -> str:
        """Make ``table`` readable in place of the one that was ``put`` before under this name and with this schema, and
        give the name to use in statements.
        """
        known = self._stands.get((name, table.schema))
        if known is None:
            known = f"{name}_{len(self._stands)}", _Stand(table)
            self._stands[name, table.schema] = known
            self._connection.register(*known)
        known[1].table = table
        self._taken.append(known[1])
        return known[0]

    def clear(self) -> None:
        """Let go of the rows of every table; statements find none any more."""
        for stand in self._taken:
            stand.table = pa.Table.from_batches([], stand.table.schema)
        self._taken.clear()


@contextmanager
def relayed(connection: duckdb.DuckDBPyConnection, table: pa.Table) -> Iterator[str]:
    """A name under which statements on the connection can read the table inside the context."""
    relay = Relay(connection)
    yield relay.put("relayed", table)
    relay.clear()
