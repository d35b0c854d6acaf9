"""SQLite files as a database to read: opened read-only, every look in one transaction.

Reading rows is ``sqlite_view``'s; what the columns become is ``sqlite_types``' table.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path
from urllib.parse import quote

import sqlalchemy as sa
from sqlalchemy.engine.reflection import Inspector
from sqlalchemy.pool import NullPool

from adapters.sources.sql.database import Described
from adapters.sources.sql.errors import no_such_table, translated
from adapters.sources.sql.options import SqlOptions
from adapters.sources.sql.reading import Reading
from adapters.sources.sql.relation import RelationName
from adapters.sources.sql.sqlite_stamp import file_stamp
from adapters.sources.sql.sqlite_statements import quoted
from adapters.sources.sql.sqlite_types import column_of
from adapters.sources.sql.sqlite_view import SqliteView
from pipeline.domain.errors import ConfigError, SourceUnreachable
from pipeline.domain.naming import column_names

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
