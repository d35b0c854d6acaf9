"""A stream of a SQL database as it was described last: its columns, its key, its cursor.

Reading it is ``extractor``'s.
"""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime

import attrs
import pyarrow as pa

from adapters.sources.sql.cursors import cursor_columns, until_of, window_of
from adapters.sources.sql.database import Described, Fetched, Selected
from adapters.sources.sql.reading import Reading
from adapters.sources.sql.rowkeys import ROW_KEY, RowKeys
from pipeline.domain.errors import SourceRejected
from pipeline.domain.naming import column_names
from pipeline.domain.schema import Column, StreamSchema


@attrs.frozen(eq=False)
class Stream:
    """A stream as it was described last. ``cursor`` and ``key_columns`` are selected columns; ``made_key`` tells that
    its key is made from whole rows.
    """

    described: Described
    schema: StreamSchema
    cursor: tuple[Selected, ...]
    key_columns: tuple[Selected, ...]
    made_key: bool

    @property
    def reading(self) -> Reading:
        return self.described.reading

    def columns_digest(self) -> str:
        """Changes with the columns, their types and the cursor."""
        return _digest([[c.name, str(c.type), c.json] for c in self.schema.columns], self.reading.cursor)

    def key_digest(self) -> str:
        """Changes with what rows are told apart by, and with what is remembered of them."""
        made = self.columns_digest() if self.made_key else ""
        return _digest(self.schema.key, made, self.reading.detect.value, self.reading.finds_deletes)


def stream_of(described: Described, *, compares_texts: bool, where: str) -> Stream:
    """The stream that a description makes; raises ``SourceRejected`` and ``ConfigError`` for one that none can be."""
    reading = described.reading
    names = reading.key or described.key
    key = tuple(_key_column(described, name, where=where) for name in names)
    if not described.columns:
        raise SourceRejected("no column is left to read", where=where, hint="Exclude fewer of them.")
    if reading.finds_deletes and not key:
        raise SourceRejected(
            "deletes cannot be found by keys, since there is no key",
            where=where,
            hint="Name key columns in read.key, or take detect: hash.",
            case="key",
        )
    columns = [selected.column for selected in described.columns]
    if not key:
        columns.append(_row_key(columns))
    schema = StreamSchema(tuple(columns), tuple(s.column.name for s in key) or (columns[-1].name,))
    cursor = cursor_columns(described, where=where, compares_texts=compares_texts)
    stream = Stream(described, schema, cursor, key, made_key=not key)
    if cursor:
        until_of(cursor, reading, now=datetime.now(UTC))
        window_of(cursor, reading, now=datetime.now(UTC), where=where)
    return stream


def keyed(known: Stream, piece: Fetched, keys: RowKeys) -> pa.Table:
    """A piece with the key that is made from whole rows, if there is one."""
    if not known.made_key:
        return piece.table
    return piece.table.append_column(known.schema.key[0], keys.of(piece.table, piece.misfits))


def _key_column(described: Described, name: str, *, where: str) -> Selected:
    try:
        return described.selected(name)
    except KeyError:
        raise SourceRejected(
            f"the key column {name} is not among the stream's columns",
            where=where,
            hint="Name other columns in read.key, or exclude fewer.",
            case="key",
        ) from None


def _row_key(columns: list[Column]) -> Column:
    names = list(column_names([*(column.name for column in columns), ROW_KEY]).values())
    taken = {column.name for column in columns}
    name = names[-1] if names[-1] not in taken else f"{ROW_KEY}_made"
    return Column(name, pa.string(), nullable=False, source_type="made from the whole row")


def _digest(*parts: object) -> str:
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32]
