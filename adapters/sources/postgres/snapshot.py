"""A consistent copy of tables at a slot's starting point, read as Arrow at the speed of COPY.

What the columns' types become is ``types``' table; which tables may be copied is decided in ``streams``.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, cast

import numpy as np
import psycopg
import pyarrow as pa
from psycopg import pq

from adapters.sources.postgres import sql, types
from adapters.sources.postgres.catalog import Catalog
from adapters.sources.postgres.connection import Connector, Row, translated
from adapters.sources.postgres.native import native_values
from adapters.sources.postgres.slot import Created, position
from adapters.sources.postgres.streams import Capture
from adapters.sources.postgres.values import parse
from pipeline.domain.change import (
    COMMIT_AT_TYPE,
    OLD_KEY,
    UNCHANGED_TYPE,
    ChangeBatch,
    Misfit,
    Operation,
    change_schema,
)
from pipeline.domain.errors import SourceUnreachable
from pipeline.domain.position import PHASE_SNAPSHOT, Position, pack_sequences
from pipeline.domain.schema import StreamSchema

if TYPE_CHECKING:
    import adbc_driver_manager.dbapi

#: How much of a table one batch holds; the driver keeps about that much in memory.
BATCH_BYTES = 4 * 1024 * 1024

_BATCH_SIZE_OPTION = "adbc.postgresql.batch_size_hint_bytes"


class PostgresSnapshot:
    """The port's ``Snapshot``. Three connections: the slot's, one that holds locks, one that reads."""

    def __init__(
        self,
        connector: Connector,
        catalog: Catalog,
        created: Created,
        *,
        find: Callable[[], dict[str, Capture]],
        epoch: int,
    ) -> None:
        self._connector = connector
        self._catalog = catalog
        self._created = created
        self._epoch = epoch
        self._keeper: psycopg.Connection[Row] | None = None
        self._reader: adbc_driver_manager.dbapi.Connection | None = None
        self._turn = threading.Lock()
        self._captures: dict[str, Capture] = {}
        self._at = pa.scalar(None, COMMIT_AT_TYPE)
        try:
            self._open(find)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> PostgresSnapshot:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def position(self) -> Position:
        """The slot's consistent point."""
        return position(self._created.consistent)

    @property
    def schemas(self) -> Mapping[str, StreamSchema]:
        """The schema of each stream; it cannot change while the tables are locked."""
        return {name: capture.schema for name, capture in self._captures.items()}

    @property
    def has_unique_keys(self) -> bool:
        """Keys are the catalog's."""
        return True

    def estimate(self, stream: str) -> int | None:
        """The planner's guess of the stream's rows."""
        return self._catalog.estimate(self._captures[stream].table.oid)

    def read(self, stream: str) -> Iterator[ChangeBatch]:
        """All rows of a stream, batch by batch."""
        capture = self._captures[stream]
        text, native = _selection(capture)
        with self._turn:
            ordinal = 0
            for batch in self._batches(text):
                yield self._changes(capture, batch, native, ordinal=ordinal)
                ordinal += batch.num_rows

    def bookmarks(self, stream: str) -> None:
        """The slot remembers."""

    def close(self) -> None:
        """Release locks, snapshot and (temporary) slot."""
        with translated(self._connector.where):
            if self._reader is not None:
                self._reader.close()
                self._reader = None
            if self._keeper is not None:
                self._keeper.close()
                self._keeper = None
        if self._created.link.status == pq.ConnStatus.OK:
            self._created.link.finish()

    def _open(self, find: Callable[[], dict[str, Capture]]) -> None:
        self._captures = find()
        self._keeper = self._connector.sql(timeout_s=0)
        with translated(self._connector.where):
            self._keeper.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
            self._keeper.execute(f"SET TRANSACTION SNAPSHOT {sql.literal(self._created.snapshot)}")
            tables = [capture.table for capture in self._captures.values()]
            if tables:
                names = [table.name for table in tables]
                self._keeper.execute(sql.lock_tables(names))
            oids = [table.oid for table in tables]
            files = self._keeper.execute(sql.FILES, [oids, oids]).fetchall()
            at = cast(datetime, self._keeper.execute("SELECT clock_timestamp()").fetchall()[0][0])
        self._at = pa.scalar(at, COMMIT_AT_TYPE)
        changed = {oid for oid, before, now in files if before != now}
        # Locked now: whatever happened to the tables before is in the catalog, and nothing more can happen.
        self._captures = find()
        if changed or {capture.table.oid for capture in self._captures.values()} != set(oids):
            raise SourceUnreachable(
                "a table was rewritten, truncated or created anew while its snapshot began",
                where=self._connector.where,
                hint="Try again.",
            )
        self._reader = self._connector.arrow()
        with translated(self._connector.where), self._reader.cursor() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            cursor.execute(f"SET TRANSACTION SNAPSHOT {sql.literal(self._created.snapshot)}")

    def _batches(self, text: str) -> Iterator[pa.RecordBatch]:
        if self._reader is None:
            raise SourceUnreachable("the snapshot is closed", where=self._connector.where)
        yield from _fetched(self._connector, self._reader, text)

    def _changes(self, capture: Capture, batch: pa.RecordBatch, native: list[bool], *, ordinal: int) -> ChangeBatch:
        arrays, misfits = _decoded(capture, batch, native)
        count = batch.num_rows
        ordinals = np.arange(ordinal, ordinal + count, dtype=np.uint64)
        arrays += [
            pa.repeat(pa.scalar(int(Operation.SNAPSHOT), pa.int8()), count),
            pack_sequences(self._epoch, self._created.consistent, PHASE_SNAPSHOT, ordinals),
            pa.repeat(self._at, count),
            pa.nulls(count, UNCHANGED_TYPE),
        ]
        schema = change_schema(capture.schema)
        if OLD_KEY in schema.names:
            arrays.append(pa.nulls(count, schema.field(OLD_KEY).type))
        table = pa.Table.from_arrays(arrays, schema=schema)
        return ChangeBatch(capture.spec.name, capture.schema, table, tuple(misfits))


def preview(connector: Connector, capture: Capture, *, limit: int) -> pa.Table:
    """The first rows of a table, without a slot: as it is now."""
    text, native = _selection(capture)
    reader = connector.arrow()
    try:
        batches = _fetched(connector, reader, f"{text} LIMIT {int(limit)}")
        tables = [
            pa.Table.from_arrays(_decoded(capture, batch, native)[0], schema=capture.schema.arrow())
            for batch in batches
        ]
        return pa.concat_tables([capture.schema.arrow().empty_table(), *tables])
    finally:
        reader.close()


def _selection(capture: Capture) -> tuple[str, list[bool]]:
    """The query for a table's rows, and which of its columns come as they are."""
    chosen = [types.select_expression(column, sql.quoted(column.name)) for column in capture.taken]
    expressions = [f"{text} AS c{index}" for index, (text, _) in enumerate(chosen)]
    text = sql.select_rows(capture.table.name, expressions, only=capture.table.kind == "r")
    return text, [is_native for _, is_native in chosen]


def _fetched(connector: Connector, reader: adbc_driver_manager.dbapi.Connection, text: str) -> Iterator[pa.RecordBatch]:
    with translated(connector.where), reader.cursor() as cursor:
        cursor.adbc_statement.set_options(**{_BATCH_SIZE_OPTION: str(BATCH_BYTES)})
        cursor.execute(text)
        for batch in cursor.fetch_record_batch():
            if batch.num_rows:
                yield batch


def _decoded(capture: Capture, batch: pa.RecordBatch, native: list[bool]) -> tuple[list[pa.Array], list[Misfit]]:
    arrays, misfits = [], []
    for index, column in enumerate(capture.schema.columns):
        array = _storage(batch.column(index))
        values, lost = native_values(column, array) if native[index] else parse(column, array)
        arrays.append(values)
        misfits += [Misfit(column.name, rows, texts, reason) for rows, texts, reason in lost]
    return arrays, misfits


def _storage(array: pa.Array) -> pa.Array:
    return array.storage if isinstance(array, pa.ExtensionArray) else array
