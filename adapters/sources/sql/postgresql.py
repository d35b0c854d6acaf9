"""PostgreSQL as a database to read without its log: its columns by its catalog, its rows by ``postgresql_view``.

Types are read by the same table as the source that follows the log (``adapters.sources.postgres``); which rows are
wanted is ``extractor``'s to say.
"""

from __future__ import annotations

import attrs
import psycopg
import pyarrow as pa
import sqlalchemy as sa
from psycopg.conninfo import make_conninfo
from sqlalchemy.engine.reflection import Inspector
from sqlalchemy.pool import NullPool

from adapters.sources.postgres import sql, types
from adapters.sources.postgres.catalog import Catalog, Table
from adapters.sources.postgres.connection import Connector, Session
from adapters.sources.postgres.connection import translated as translated_server
from adapters.sources.postgres.native import native_values
from adapters.sources.postgres.options import LIBPQ_DEFAULTS, PostgresOptions
from adapters.sources.postgres.relation import SourceColumn
from adapters.sources.postgres.values import parse
from adapters.sources.sql.database import Described, Lost, Selected
from adapters.sources.sql.errors import no_such_table, translated
from adapters.sources.sql.options import SqlOptions
from adapters.sources.sql.postgresql_view import PostgresView, quoted, wrapped
from adapters.sources.sql.reading import Reading
from adapters.sources.sql.relation import RelationName
from pipeline.domain.errors import ConfigError
from pipeline.domain.naming import column_names

#: Counters of what was written to a table and its partitions, and what a rewrite or TRUNCATE gives anew. Null where
#: there are none: views, foreign tables, tables that others inherit from, standbys.
_STAMP = """
SELECT CASE WHEN pg_catalog.pg_is_in_recovery() OR bool_or(c.relhassubclass) THEN NULL ELSE concat_ws(':',
         sum(pg_catalog.pg_stat_get_tuples_inserted(c.oid)), sum(pg_catalog.pg_stat_get_tuples_updated(c.oid)),
         sum(pg_catalog.pg_stat_get_tuples_deleted(c.oid)),
         string_agg(c.oid || '/' || c.relfilenode || '/' || c.relnatts, ',' ORDER BY c.oid)) END
  FROM pg_catalog.pg_class c
 WHERE c.relkind IN ('r', 'm') AND (c.oid = %s::oid
    OR c.oid IN (SELECT p.relid FROM pg_catalog.pg_partition_tree(%s::oid) p WHERE p.isleaf))"""

#: Types whose values PostgreSQL and Arrow put in the same order.
_ORDERED = (
    pa.types.is_integer,
    pa.types.is_floating,
    pa.types.is_decimal,
    pa.types.is_timestamp,
    pa.types.is_date,
)


class PostgresDatabase:
    """See ``database.Database``."""

    compares_texts = True

    def __init__(self, options: SqlOptions) -> None:
        self.where = options.where
        self._schema = options.schema or "public"
        self._connector = Connector(PostgresOptions(_conninfo(options), slot="", publication=""))
        self._session = Session(self._connector)
        self._catalog = Catalog(self._session)
        self._engine: sa.Engine | None = None

    def inspector(self) -> Inspector:
        """SQLAlchemy's inspector."""
        with translated(self.where):
            if self._engine is None:
                connector = self._connector
                self._engine = sa.create_engine(
                    "postgresql+psycopg://", creator=lambda: connector.sql(), poolclass=NullPool
                )
            return sa.inspect(self._engine)

    def schemas(self, inspector: Inspector) -> tuple[str, ...]:
        """All that are not PostgreSQL's own."""
        names = inspector.get_schema_names()
        return tuple(name for name in names if name != "information_schema" and not name.startswith("pg_"))

    def name_of(self, text: str) -> RelationName:
        """A name without a schema is of the source's schema."""
        return RelationName.parse(text, schema=self._schema)

    def describe(self, reading: Reading, *, exclude: frozenset[str]) -> Described:
        """The columns as the catalog, or the server's answer to the query, describes them."""
        table = None if reading.query else self._table(self.name_of(reading.relation))
        if table is None and not reading.query:
            raise no_such_table(f"{self.where}, {reading.relation}")
        columns = self._answered(reading.query) if table is None else list(table.columns)
        names = column_names(column.name for column in columns)
        taken = tuple(_selected(column, names[column.name]) for column in columns if column.name not in exclude)
        key = () if table is None else tuple(table.column(number).name for number in table.primary)
        return Described(reading, taken, key)

    def view(self) -> PostgresView:
        """A transaction that sees one state of the database."""
        return PostgresView(self._connector, self.name_of, schema=self._schema)

    def estimate(self, name: RelationName) -> int | None:
        """The planner's guess."""
        table = self._table(name)
        return None if table is None else self._catalog.estimate(table.oid)

    def stamp(self, name: RelationName | None) -> str | None:
        """The statistics' counters of the table."""
        table = None if name is None else self._table(name)
        if table is None:
            return None
        told = self._session.value(_STAMP, table.oid, table.oid)
        return None if told is None else str(told)

    def close(self) -> None:
        """Close the connections."""
        self._session.close()
        if self._engine is not None:
            self._engine.dispose()
            self._engine = None

    def _table(self, name: RelationName) -> Table | None:
        wanted = sql.RelationName(name.schema, name.name)
        return self._catalog.named([wanted]).get(wanted)

    def _answered(self, query: str) -> list[SourceColumn]:
        """The columns of a query, by the server's description of its answer."""
        connection = self._connector.sql()
        try:
            with translated_server(self.where):
                connection.execute("BEGIN READ ONLY")
                connection.execute(f"SET LOCAL search_path = {quoted(self._schema)}")
                answer = connection.execute(f"SELECT * FROM {wrapped(query)} LIMIT 0".encode()).pgresult
        finally:
            connection.close()
        if answer is None:
            return []
        described = [
            ((answer.fname(number) or b"").decode(), answer.ftype(number), answer.fmod(number))
            for number in range(answer.nfields)
        ]
        doubled = {name for name, _, _ in described if [other for other, _, _ in described].count(name) > 1}
        if doubled:
            raise ConfigError(
                "the query gives two columns the same name", where=self.where, hint="Name its columns with AS."
            )
        return [self._catalog.typed(name, oid, typmod) for name, oid, typmod in described]


def _selected(source: SourceColumn, name: str) -> Selected:
    # What rows hold that are older than a column is read with them: it needs no telling.
    plain = attrs.evolve(source, default_text=None, fills_old_rows=False)
    # Nor does a number tell columns apart: a table, or a view, that is made anew under its name has others.
    column = attrs.evolve(types.column_of(plain, name=name), source_id=None)
    expression, is_native = types.select_expression(plain, quoted(source.name))
    kind = column.type

    def decode(array: pa.Array) -> tuple[pa.Array, list[Lost]]:
        storage = array.storage if isinstance(array, pa.ExtensionArray) else array
        return native_values(column, storage) if is_native else parse(column, storage)

    ordered = ""
    if any(test(kind) for test in _ORDERED):
        ordered = quoted(source.name)
    elif source.type_name in {"text", "varchar"}:
        ordered = f'{quoted(source.name)} COLLATE "C"'
    return Selected(column, expression, decode, ordered)


def _conninfo(options: SqlOptions) -> str:
    """The URL's parts as libpq's parameters; raises ``ConfigError`` for one that it does not know."""
    url = options.url
    given = {
        "host": url.host,
        "port": url.port,
        "user": url.username,
        "password": url.password,
        "dbname": url.database,
        **{key: ",".join(value) if isinstance(value, tuple) else value for key, value in url.query.items()},
        **options.connect_args,
    }
    plain = {key: str(value) for key, value in given.items() if value is not None}
    try:
        return make_conninfo("", **{**LIBPQ_DEFAULTS, **plain})
    except psycopg.ProgrammingError:
        raise ConfigError(
            "a parameter of the url, or of connect_args, is none of PostgreSQL's",
            where=options.where,
            hint="See libpq's parameter key words: sslmode, sslrootcert, connect_timeout and so on.",
        ) from None
