"""Any other database that SQLAlchemy has a dialect for: rows by the driver's cursor, in batches, column by column.

Slower than reading Arrow, since every value passes through Python. What the columns become is ``generic_types``' table;
which rows are wanted is ``extractor``'s to say.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import sqlalchemy as sa
from sqlalchemy.engine.reflection import Inspector
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import NullPool

from adapters.sources.sql.database import Described, Fetched, Lost, Select, Selected, as_is, fetched
from adapters.sources.sql.errors import translated
from adapters.sources.sql.generic_types import column_of, values_of
from adapters.sources.sql.options import SqlOptions
from adapters.sources.sql.reading import Reading
from adapters.sources.sql.relation import RelationName
from pipeline.domain.errors import ConfigError, SourceUnreachable
from pipeline.domain.naming import column_names

#: How many rows one piece has.
PIECE_ROWS = 10_000

#: The isolation levels at which one transaction sees one state, the best first; a dialect has some of them.
_ONE_STATE = ("SNAPSHOT", "REPEATABLE READ", "SERIALIZABLE")


class AnyDatabase:
    """See ``database.Database``. Texts are compared by rules of the database's own, so that they can be no cursors."""

    compares_texts = False

    def __init__(self, options: SqlOptions) -> None:
        self.where = options.where
        self._options = options
        self._engine: sa.Engine | None = None

    def inspector(self) -> Inspector:
        """SQLAlchemy's inspector."""
        with translated(self.where):
            return sa.inspect(self._open())

    def schemas(self, inspector: Inspector) -> tuple[str, ...]:
        """The schema of the options, or the database's default."""
        return (self._options.schema,)

    def name_of(self, text: str) -> RelationName:
        """A name without a schema is of the source's schema."""
        return RelationName.parse(text, schema=self._options.schema)

    def describe(self, reading: Reading, *, exclude: frozenset[str]) -> Described:
        """The columns as SQLAlchemy describes them."""
        if reading.query:
            raise ConfigError(
                "a query can be read from SQLite and PostgreSQL only",
                where=self.where,
                hint="Make it a view of the database, and read that.",
            )
        name = self.name_of(reading.relation)
        schema = name.schema or None
        with translated(f"{self.where}, {reading.relation}"):
            inspector = sa.inspect(self._open())
            found = inspector.get_columns(name.name, schema=schema)
            key = inspector.get_pk_constraint(name.name, schema=schema)["constrained_columns"]
        names = column_names(column["name"] for column in found)
        columns = [
            Selected(
                column_of(
                    names[column["name"]],
                    source_name=column["name"],
                    kind=column["type"],
                    nullable=bool(column.get("nullable", True)),
                ),
                expression=column["name"],
                decode=as_is,
                ordered=column["name"],
            )
            for column in found
            if column["name"] not in exclude
        ]
        return Described(reading, tuple(columns), tuple(key))

    def view(self) -> AnyView:
        """A transaction at the best isolation that the database has."""
        with translated(self.where):
            return AnyView(self._open(), self.name_of, where=self.where)

    def estimate(self, name: RelationName) -> int | None:
        """Nothing is known."""
        return None

    def stamp(self, name: RelationName | None) -> str | None:
        """Nothing is counted that every database has."""
        return None

    def close(self) -> None:
        """Close the connections."""
        if self._engine is not None:
            self._engine.dispose()
            self._engine = None

    def _open(self) -> sa.Engine:
        if self._engine is None:
            self._engine = sa.create_engine(
                self._options.url, connect_args=dict(self._options.connect_args), poolclass=NullPool
            )
        return self._engine


class AnyView:
    """See ``database.View``."""

    def __init__(self, engine: sa.Engine, name_of: Any, *, where: str) -> None:
        self._where = where
        self._name_of = name_of
        self._connection: sa.Connection | None = _isolated(engine)

    def now(self) -> datetime:
        """The database's clock; where it tells no zone, its own is taken for UTC."""
        with translated(self._where):
            at = self._open().execute(sa.select(sa.func.current_timestamp())).scalar()
        if isinstance(at, str):
            at = datetime.fromisoformat(at)
        if not isinstance(at, datetime):
            return datetime.now(UTC)
        return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)

    def read(self, select: Select) -> Iterator[Fetched]:
        """The rows, in pieces."""
        with translated(self._where):
            options = {"stream_results": True, "max_row_buffer": PIECE_ROWS}
            result = self._open().execution_options(**options).execute(self._statement(select))
        try:
            while True:
                with translated(self._where):
                    rows = result.fetchmany(PIECE_ROWS)
                if not rows:
                    return
                yield _decoded(select, list(zip(*rows, strict=True)))
        finally:
            result.close()

    def close(self) -> None:
        """End the transaction."""
        if self._connection is not None:
            connection, self._connection = self._connection, None
            with translated(self._where):
                connection.rollback()
                connection.close()

    def _statement(self, select: Select) -> sa.Select[Any]:
        name = self._name_of(select.described.reading.relation)
        shown = {selected.column.source_name: _column(selected) for selected in select.described.columns}
        table = sa.table(
            sa.quoted_name(name.name, quote=True),
            *shown.values(),
            schema=sa.quoted_name(name.schema, quote=True) if name.schema else None,
        )
        columns = {source_name: table.c[source_name] for source_name in shown}
        statement = sa.select(*(columns[selected.column.source_name] for selected in select.columns))
        if select.since:
            missing = [columns[s.column.source_name].is_(None) for s, _ in select.since if select.with_nulls]
            statement = statement.where(sa.or_(_not_before(columns, list(select.since)), *missing))
        if select.until is not None:
            selected, value = select.until
            column = columns[selected.column.source_name]
            statement = statement.where(sa.or_(column <= value.as_py(), column.is_(None)))
        if select.order:
            statement = statement.order_by(*(columns[selected.column.source_name] for selected in select.order))
        return statement if select.limit is None else statement.limit(select.limit)

    def _open(self) -> sa.Connection:
        if self._connection is None:
            raise SourceUnreachable("the view is closed", where=self._where, hint="Look again.")
        return self._connection


def _isolated(engine: sa.Engine) -> sa.Connection:
    """A connection whose transactions see one state, as far as the dialect knows how."""
    connection = engine.connect()
    try:
        driver = connection.connection.dbapi_connection
        known = engine.dialect.get_isolation_level_values(driver) if driver is not None else []
    except (NotImplementedError, SQLAlchemyError):
        known = []
    level = next((level for level in _ONE_STATE if level in known), None)
    if level is not None:
        connection = connection.execution_options(isolation_level=level)
    return connection


def _column(selected: Selected) -> sa.ColumnClause[Any]:
    # Without a type, so that values come as the driver gives them.
    return sa.column(sa.quoted_name(selected.column.source_name, quote=True))


def _not_before(
    columns: dict[str, sa.ColumnClause[Any]], since: list[tuple[Selected, pa.Scalar]]
) -> sa.ColumnElement[bool]:
    (selected, value), *rest = since
    column: sa.ColumnElement[Any] = columns[selected.column.source_name]
    from_here: sa.ColumnElement[bool] = column >= value.as_py()
    if not rest:
        return from_here
    return sa.and_(from_here, sa.or_(column > value.as_py(), _not_before(columns, rest)))


def _decoded(select: Select, values: list[tuple[object, ...]]) -> Fetched:
    arrays, lost = [], []
    for selected, column_values in zip(select.columns, values, strict=True):
        array, misfits = values_of(selected.column, column_values)
        arrays.append(array)
        found: list[tuple[str, Lost]] = [(selected.column.name, misfit) for misfit in misfits]
        lost += found
    return fetched(select, arrays, lost)
