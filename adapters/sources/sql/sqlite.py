"""SQLite files as a database to read: opened read-only, as Arrow by ADBC, every look in one transaction.

What the columns become is ``sqlite_types``' table; which rows are wanted is ``extractor``'s to say.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pyarrow as pa
import pyarrow.compute as pc
import sqlalchemy as sa
from sqlalchemy.engine.reflection import Inspector
from sqlalchemy.pool import NullPool

from adapters.sources.polling.spool import Spool
from adapters.sources.sql.database import Described, Fetched, Lost, Select, fetched
from adapters.sources.sql.errors import no_such_table, translated
from adapters.sources.sql.options import SqlOptions
from adapters.sources.sql.reading import Reading
from adapters.sources.sql.relation import RelationName
from adapters.sources.sql.sqlite_stamp import file_stamp
from adapters.sources.sql.sqlite_statements import binder, quoted, statement
from adapters.sources.sql.sqlite_types import SqliteColumn, column_of
from adapters.sources.sql.statements import conditions
from pipeline.domain.errors import ConfigError, SourceUnreachable
from pipeline.domain.naming import column_names

if TYPE_CHECKING:
    import adbc_driver_manager.dbapi

#: How much one piece of rows holds about, in bytes and at most in rows.
PIECE_BYTES = 4 * 1024 * 1024
PIECE_ROWS = 65_536

_SAMPLE_ROWS = 100
_BUSY_MS = 10_000
_BATCH_ROWS_OPTION = "adbc.sqlite.query.batch_rows"
_QUERY = "rdp_query"
#: Columns that ``SELECT *`` would not show: those of virtual tables that are hidden.
_HIDDEN = 1


class SqliteDatabase:
    """See ``database.Database``. A query is read by way of a temporary view, which no one else sees."""

    compares_texts = True

    def __init__(self, options: SqlOptions) -> None:
        path = options.url.database or ""
        if not path or path.startswith((":memory:", "file:")) or options.url.query or options.connect_args:
            raise ConfigError(
                "a SQLite source is a file",
                where=options.where,
                hint="Write url: sqlite:////folder/file.db, with nothing behind it and no connect_args.",
            )
        self._path = Path(path)
        self._uri = f"file:{quote(str(self._path.absolute()))}?mode=ro"
        self._engine: sa.Engine | None = None
        self.where = options.where

    def inspector(self) -> Inspector:
        """SQLAlchemy's inspector."""
        self._refuse_missing()
        with translated(self.where):
            if self._engine is None:
                uri = self._uri
                self._engine = sa.create_engine(
                    "sqlite://", creator=lambda: sqlite3.connect(uri, uri=True), poolclass=NullPool
                )
            return sa.inspect(self._engine)

    def schemas(self, inspector: Inspector) -> tuple[str, ...]:
        """There is one."""
        return ("",)

    def name_of(self, text: str) -> RelationName:
        """SQLite has no schemas but those of attached files."""
        name = RelationName.parse(text)
        return RelationName("", name.name) if name.schema == "main" else name

    def describe(self, reading: Reading, *, exclude: frozenset[str]) -> Described:
        """The columns as they were declared."""
        view = self.view()
        try:
            source = view.source_of(reading)
            found = view.rows(f"PRAGMA table_xinfo({source.removeprefix('main.')})")
        finally:
            view.close()
        shown = [row for row in found if row[6] != _HIDDEN]
        if not shown:
            raise no_such_table(f"{self.where}, {reading.relation}")
        names = column_names(row[1] for row in shown)
        keyed = sorted((row for row in shown if row[5]), key=lambda row: int(row[5]))
        is_rowid = len(keyed) == 1 and str(keyed[0][2]).upper() == "INTEGER"
        columns = [
            column_of(
                names[row[1]],
                source_name=row[1],
                quoted=quoted(row[1]),
                declared=row[2] or "",
                nullable=not row[3] and not (is_rowid and row[5]),
            )
            for row in shown
            if row[1] not in exclude
        ]
        return Described(reading, tuple(columns), tuple(row[1] for row in keyed))

    def view(self) -> SqliteView:
        """A read-only transaction, which begins with the first statement."""
        self._refuse_missing()
        import adbc_driver_sqlite.dbapi

        with translated(self.where):
            connection = adbc_driver_sqlite.dbapi.connect(self._uri)
        return SqliteView(connection, self.where)

    def estimate(self, name: RelationName) -> int | None:
        """The highest rowid, which is near the count in tables that only grow."""
        view = self.view()
        try:
            found = view.rows(f"SELECT max(rowid) FROM {quoted(name.name)}")
            return int(found[0][0] or 0)
        except Exception:  # a view, or a table without rowids
            return None
        finally:
            view.close()

    def stamp(self, name: RelationName | None) -> str | None:
        """What SQLite writes into its files with every commit, whichever table it was."""
        self._refuse_missing()
        return file_stamp(self._path)

    def close(self) -> None:
        """Nothing stays open."""
        if self._engine is not None:
            self._engine.dispose()
            self._engine = None

    def _refuse_missing(self) -> None:
        if not self._path.is_file():
            raise SourceUnreachable(
                "the file is not there", where=self.where, hint="Check the path, and that its folder is mounted."
            )


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
        names = len(select.columns)
        is_first = True
        for batch in self._batches(text, values, rows=self._piece_rows(select)):
            rows = batch.slice(1) if is_first else batch
            is_first = False
            if rows.num_rows:
                yield _decoded(select, [rows.column(number + 1) for number in range(names + 1)])

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


def _decoded(select: Select, raw: list[pa.Array]) -> Fetched:
    *values, oddities = raw
    arrays, lost = [], []
    for selected, array in zip(select.columns, values, strict=True):
        decoded, misfits = selected.decode(array)
        arrays.append(decoded)
        lost += [(selected.column.name, misfit) for misfit in misfits]
    if oddities.null_count < len(oddities):
        lost += _odd_values(select, oddities)
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
