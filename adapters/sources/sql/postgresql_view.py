"""The rows of a PostgreSQL database in one snapshot, as Arrow by ADBC.

What the columns are is ``postgresql``'s to say.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, cast

import pyarrow as pa
from sqlalchemy.dialects.postgresql.base import PGDialect

from adapters.sources.postgres import sql
from adapters.sources.postgres.connection import Connector
from adapters.sources.postgres.connection import translated as translated_server
from adapters.sources.sql.database import Fetched, Select, Selected, fetched
from adapters.sources.sql.reading import Reading
from adapters.sources.sql.statements import conditions, select_text
from pipeline.domain.errors import SourceUnreachable
from pipeline.domain.valuetext import texts

if TYPE_CHECKING:
    import adbc_driver_manager.dbapi

#: How much one piece of rows holds about; the driver keeps about that much in memory.
PIECE_BYTES = 4 * 1024 * 1024

_BATCH_SIZE_OPTION = "adbc.postgresql.batch_size_hint_bytes"
_READ_ONLY = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"

_PREPARER = PGDialect().identifier_preparer  # type: ignore[no-untyped-call] # SQLAlchemy's


def quoted(name: str) -> str:
    """An identifier as SQL, whatever characters it has."""
    return str(_PREPARER.quote_identifier(name))


class PostgresView:
    """See ``database.View``."""

    def __init__(self, connector: Connector, name_of: Any, *, schema: str) -> None:
        self._where = connector.where
        self._name_of = name_of
        self._connection: adbc_driver_manager.dbapi.Connection | None = connector.arrow()
        self._execute(_READ_ONLY)
        self._execute(f"SET LOCAL search_path = {quoted(schema)}")

    def now(self) -> datetime:
        """The server's clock at the beginning of the transaction: no row that it shows was committed later."""
        with translated_server(self._where), self._open().cursor() as cursor:
            cursor.execute("SELECT transaction_timestamp()")
            row = cursor.fetchone()
        return cast(datetime, (row or (datetime.now(UTC),))[0]).astimezone(UTC)

    def read(self, select: Select) -> Iterator[Fetched]:
        """The rows, in pieces."""
        for batch in self._batches(statement(select, self._source_of(select.described.reading))):
            yield _decoded(select, batch)

    def close(self) -> None:
        """End the transaction."""
        if self._connection is not None:
            connection, self._connection = self._connection, None
            with translated_server(self._where):
                connection.close()

    def _source_of(self, reading: Reading) -> str:
        if reading.query:
            return wrapped(reading.query)
        name = self._name_of(reading.relation)
        return f"{quoted(name.schema)}.{quoted(name.name)}"

    def _batches(self, text: str) -> Iterator[pa.RecordBatch]:
        with translated_server(self._where), self._open().cursor() as cursor:
            cursor.adbc_statement.set_options(**{_BATCH_SIZE_OPTION: str(PIECE_BYTES)})
            cursor.execute(text)
            for batch in cursor.fetch_record_batch():
                if batch.num_rows:
                    yield batch

    def _execute(self, text: str) -> None:
        with translated_server(self._where), self._open().cursor() as cursor:
            cursor.execute(text)

    def _open(self) -> adbc_driver_manager.dbapi.Connection:
        if self._connection is None:
            raise SourceUnreachable("the view is closed", where=self._where, hint="Look again.")
        return self._connection


def statement(select: Select, source: str) -> str:
    """The text; values are literals, since the form in which rows come as Arrow (COPY) cannot bind any."""
    text = select_text(
        source,
        [selected.expression for selected in select.columns] or ["NULL"],
        where=conditions(select, _literal),
        order=[selected.ordered for selected in select.order],
    )
    return f"{text} LIMIT {select.limit}" if select.limit is not None else text


def _literal(selected: Selected, value: pa.Scalar) -> str:
    told = str(texts(pa.array([value.as_py()], value.type))[0].as_py())
    return f"{sql.literal(told)}::{selected.column.source_type}"


def _decoded(select: Select, batch: pa.RecordBatch) -> Fetched:
    arrays, lost = [], []
    for number, selected in enumerate(select.columns):
        values, misfits = selected.decode(batch.column(number))
        if values.type != selected.column.type:
            raise SourceUnreachable(
                "a column's type was changed while its rows were read",
                where=selected.column.source_name,
                hint="Look again.",
            )
        arrays.append(values)
        lost += [(selected.column.name, misfit) for misfit in misfits]
    return fetched(select, arrays, lost)


def wrapped(query: str) -> str:
    """A query as something to select from."""
    return f"(\n{query}\n) AS q"
