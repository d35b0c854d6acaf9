"""Keeps the bookmarks of streams: rows are only ever appended by COPY, and the latest of each name counts.

So a load with bookmarks has one more statement and no lock that another group would wait for: COPY adds files to a
table and locks nothing. Now and then what is outlived is deleted (``fold``), and all of a stream when it is copied anew
(``forget``). Deleting holds the table against others that delete until the load commits, not against COPY. It comes
near the end of a load and before the MERGE of the states, in every load, so that no two wait for each other.

A load has a name of a stream once, and loads are numbered upward even when a group starts over: no two rows tie.
"""

from __future__ import annotations

import zlib

import pyarrow as pa

from adapters.warehouses.snowflake.control import TABLES, own
from adapters.warehouses.snowflake.files import FileColumn
from adapters.warehouses.snowflake.session import Session
from adapters.warehouses.snowflake.statement import Statement, columns, literal, quote
from pipeline.domain.bookmarks import BOOKMARK_SCHEMA

#: The columns of a file of bookmarks, which are those of the table.
LAYOUT = tuple(FileColumn(name, pa.int64() if name == "load" else pa.string()) for name in TABLES["bookmarks"])

#: One load in so many of a stream's folds what it has outlived.
FOLD_EVERY = 256


def folds(group: str, stream: str, load: int) -> bool:
    """Whether a load is one of those that fold: by lot, since the number of the load would let streams fold at the same
    time and wait for each other, and one whose every other load is idle never.
    """
    return zlib.crc32(f"{group}\0{stream}\0{load}".encode()) % FOLD_EVERY == 0


def kept_rows(group: str, stream: str, bookmarks: pa.Table, *, load: int) -> pa.Table:
    """Bookmarks with the columns of their table."""
    count = bookmarks.num_rows
    return pa.table(
        [
            pa.repeat(group, count),
            pa.repeat(stream, count),
            *bookmarks.columns,
            pa.repeat(pa.scalar(load, pa.int64()), count),
        ],
        names=[column.name for column in LAYOUT],
    )


def forget(group: str, stream: str) -> Statement:
    """Forget everything of a stream."""
    return Statement(
        f"DELETE FROM {own('bookmarks')} WHERE {quote('group')} = ? AND {quote('stream')} = ?", [group, stream]
    )


def fold(group: str, stream: str) -> Statement:
    """Delete what later rows of the same names have outlived, and names that were forgotten altogether."""
    name, load = quote("name"), quote("load")
    is_ours = f"{quote('group')} = ? AND {quote('stream')} = ?"
    return Statement(
        f"""MERGE INTO {own("bookmarks")} AS t
USING (SELECT {name}, MAX({load}) AS {load} FROM {own("bookmarks")} WHERE {is_ours} GROUP BY {name}) AS s
ON t.{quote("group")} = ? AND t.{quote("stream")} = ? AND t.{name} = s.{name}
    AND (t.{load} < s.{load} OR t.{quote("value")} IS NULL)
WHEN MATCHED THEN DELETE""",
        [group, stream, group, stream],
    )


def read(session: Session, group: str, stream: str) -> pa.Table:
    """The bookmarks of a stream, as ``latest`` selects them."""
    found = session.query(Statement(latest(group, stream)))
    return pa.Table.from_arrays([column.cast(pa.string()) for column in found.columns], schema=BOOKMARK_SCHEMA)


def latest(group: str, stream: str) -> str:
    """A SELECT of the latest of each name, unless that forgets it.

    Nothing is bound, so that the result cache can answer where nothing changed (P12).
    """
    value = quote("value")
    return f"""SELECT {columns(BOOKMARK_SCHEMA.names)} FROM (
    SELECT {columns(BOOKMARK_SCHEMA.names)} FROM {own("bookmarks")}
    WHERE {quote("group")} = {literal(group)} AND {quote("stream")} = {literal(stream)}
    QUALIFY ROW_NUMBER() OVER (PARTITION BY {quote("name")} ORDER BY {quote("load")} DESC) = 1
) WHERE {value} IS NOT NULL"""
