"""Keeps the bookmarks of streams: rows are only ever appended by COPY, and the latest of each name counts.

So a load with bookmarks has one more statement and no lock that another group would wait for; what is outlived is
folded away now and then.
"""

from __future__ import annotations

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
    """Delete what later rows of the same names have outlived."""
    name, load = quote("name"), quote("load")
    is_ours = f"{quote('group')} = ? AND {quote('stream')} = ?"
    return Statement(
        f"""DELETE FROM {own("bookmarks")} AS t
USING (SELECT {name}, MAX({load}) AS {load} FROM {own("bookmarks")} WHERE {is_ours} GROUP BY {name}) AS s
WHERE t.{quote("group")} = ? AND t.{quote("stream")} = ? AND t.{name} = s.{name} AND t.{load} < s.{load}""",
        [group, stream, group, stream],
    )


def read(session: Session, group: str, stream: str) -> pa.Table:
    """The bookmarks of a stream: of each name the latest, unless that forgets it.

    Nothing is bound, so that the result cache can answer where nothing changed (P12).
    """
    value = quote("value")
    query = f"""SELECT {columns(BOOKMARK_SCHEMA.names)} FROM (
    SELECT {columns(BOOKMARK_SCHEMA.names)} FROM {own("bookmarks")}
    WHERE {quote("group")} = {literal(group)} AND {quote("stream")} = {literal(stream)}
    QUALIFY ROW_NUMBER() OVER (PARTITION BY {quote("name")} ORDER BY {quote("load")} DESC) = 1
) WHERE {value} IS NOT NULL"""
    found = session.query(Statement(query))
    return pa.Table.from_arrays([column.cast(pa.string()) for column in found.columns], schema=BOOKMARK_SCHEMA)
