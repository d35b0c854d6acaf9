"""The rows of a SQLite file as they are at one moment, as Arrow by ADBC.

What the columns are is ``sqlite``'s to say, and the SQL ``sqlite_statements``'.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from adapters.sources.polling.spool import Spool
from adapters.sources.sql.database import Fetched, Lost, Select, fetched
from adapters.sources.sql.errors import translated
from adapters.sources.sql.reading import Reading
from adapters.sources.sql.relation import RelationName
from adapters.sources.sql.sqlite_statements import ODDITIES, binder, quoted, statement
from adapters.sources.sql.sqlite_types import SqliteColumn
from adapters.sources.sql.statements import conditions
from pipeline.domain.errors import ConfigError, SourceUnreachable

if TYPE_CHECKING:
    import adbc_driver_manager.dbapi

#: How much one piece of rows holds about, in bytes and at most in rows.
PIECE_BYTES = 4 * 1024 * 1024
PIECE_ROWS = 65_536

_SAMPLE_ROWS = 100
_BUSY_MS = 10_000
_BATCH_ROWS_OPTION = "adbc.sqlite.query.batch_rows"
_QUERY = "rdp_query"


class SqliteView:
    """See ``database.View``. Where the file has no write-ahead log, a reader would keep writers from committing: then
    rows are put aside as fast as they can be read, and the transaction ends before the first of them is used.
    """

    def __init__(self, connection: adbc_driver_manager.dbapi.Connection, where: str) -> None:
        self._connection: adbc_driver_manager.dbapi.Connection | None = connection
        self._where = where
        self.rows(f"PRAGMA busy_timeout={_BUSY_MS}")
        self._locks_writers = self.rows("PRAGMA journal_mode")[0][0] != "wal"

    def now(self) -> datetime:
        """The clock of this machine."""
        return datetime.now(UTC)

    def source_of(self, reading: Reading) -> str:
        """What to select from, as SQL."""
        if not reading.query:
            return quoted(RelationName.parse(reading.relation).name)
        text = f"SELECT * FROM ({reading.query}\n)"
        self._execute(f"CREATE TEMP VIEW IF NOT EXISTS {_QUERY} AS {text}")
        [(kept,)] = self.rows(f"SELECT sql FROM sqlite_temp_master WHERE name = '{_QUERY}'")
        if not kept.endswith(text):  # SQLite reads one statement and passes over what follows
            raise ConfigError("the query is more than one SELECT", where=self._where, hint="Write a single SELECT.")
        return _QUERY

    def rows(self, text: str) -> list[tuple[Any, ...]]:
        """The rows of a small answer."""
        with translated(self._where), self._open().cursor() as cursor:
            cursor.execute(text)
            return list(cursor.fetchall())

    def read(self, select: Select) -> Iterator[Fetched]:
        """The rows, in pieces."""
        if not self._locks_writers:
            yield from self._read(select)
            return
        spool: Spool[Fetched] = Spool(memory_bytes=0)
        for piece in self._read(select):
            spool.append(piece)
        with translated(self._where):
            self._open().rollback()
        yield from spool

    def close(self) -> None:
        """End the transaction."""
        if self._connection is not None:
            connection, self._connection = self._connection, None
            with translated(self._where):
                connection.close()

    def _read(self, select: Select) -> Iterator[Fetched]:
        text, values = statement(select, self.source_of(select.described.reading), is_plain=not self._any_odd(select))
        is_first = True
        for batch in self._batches(text, values, rows=self._piece_rows(select)):
            rows = batch.slice(1) if is_first else batch
            is_first = False
            if rows.num_rows:
                yield _decoded(select, rows)

    def _any_odd(self, select: Select) -> bool:
        """Whether any row has a value that the fast way of reading its column would not get right."""
        values: list[object] = []
        hinders = [column.hinders for column in select.columns if isinstance(column, SqliteColumn) and column.hinders]
        if not hinders or select.limit is not None:
            return True
        where = [*conditions(select, binder(values)), f"({' OR '.join(hinders)})"]
        source = self.source_of(select.described.reading)
        text = f"SELECT 1 FROM {source} WHERE {' AND '.join(where)} LIMIT 1"
        return any(batch.num_rows for batch in self._batches(text, values, rows=1))

    def _piece_rows(self, select: Select) -> int:
        """How many rows of average size make up a piece."""
        plain = Select(select.described, select.columns, limit=_SAMPLE_ROWS)
        text, values = statement(plain, self.source_of(select.described.reading))
        sizes = [(batch.nbytes, batch.num_rows) for batch in self._batches(text, values, rows=_SAMPLE_ROWS + 1)]
        average = sum(size for size, _ in sizes) / max(sum(count for _, count in sizes), 1)
        return int(min(PIECE_ROWS, max(PIECE_BYTES / max(average, 1.0), 16)))

    def _batches(self, text: str, values: Sequence[object], *, rows: int) -> Iterator[pa.RecordBatch]:
        with translated(self._where), self._open().cursor() as cursor:
            cursor.adbc_statement.set_options(**{_BATCH_ROWS_OPTION: str(rows)})
            cursor.execute(text, tuple(values) or None)
            yield from cursor.fetch_record_batch()

    def _execute(self, text: str) -> None:
        with translated(self._where), self._open().cursor() as cursor:
            cursor.execute(text)
            cursor.fetchall()

    def _open(self) -> adbc_driver_manager.dbapi.Connection:
        if self._connection is None:
            raise SourceUnreachable("the view is closed", where=self._where, hint="Look again.")
        return self._connection


def _decoded(select: Select, rows: pa.RecordBatch) -> Fetched:
    arrays, lost = [], []
    for number, selected in enumerate(select.columns):
        decoded, misfits = selected.decode(rows.column(number))
        arrays.append(decoded)
        lost += [(selected.column.name, misfit) for misfit in misfits]
    if ODDITIES in rows.schema.names and rows.column(ODDITIES).null_count < rows.num_rows:
        lost += _odd_values(select, rows.column(ODDITIES))
    return fetched(select, arrays, lost)


def _odd_values(select: Select, oddities: pa.Array) -> list[tuple[str, Lost]]:
    rows = pc.indices_nonzero(oddities.is_valid()).cast(pa.int64()).to_pylist()
    documents = [json.loads(text) for text in oddities.take(pa.array(rows, pa.int64())).to_pylist()]
    found: list[tuple[str, Lost]] = []
    for number, selected in enumerate(select.columns):
        here = [
            (row, document[number])
            for row, document in zip(rows, documents, strict=True)
            if document[number] is not None
        ]
        if here and isinstance(selected, SqliteColumn):
            told = pa.array([text for _, text in here], pa.string())
            found.append(
                (selected.column.name, (pa.array([row for row, _ in here], pa.int64()), told, selected.reason))
            )
    return found
