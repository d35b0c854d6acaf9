"""Bookmarks: what a source without a log has to remember of a stream between two looks at it, as name and value.

They are kept in the warehouse and move in the transaction that loads the rows they tell of (P1). What they mean is the
source's affair: a cursor, a file of a manifest, the fingerprint of a row.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

#: ``name`` is unique within a stream; a null ``value`` forgets the bookmark.
BOOKMARK_SCHEMA = pa.schema([pa.field("name", pa.string(), nullable=False), pa.field("value", pa.string())])

NO_BOOKMARKS: pa.Table = BOOKMARK_SCHEMA.empty_table()


def bookmarks(values: Mapping[str, str | None]) -> pa.Table:
    """A table of a few bookmarks."""
    return pa.table([list(values), list(values.values())], schema=BOOKMARK_SCHEMA)


def plain_bookmarks(kept: pa.Table) -> dict[str, str]:
    """Bookmarks as a mapping; for those that are few."""
    return {
        name: value
        for name, value in zip(kept["name"].to_pylist(), kept["value"].to_pylist(), strict=True)
        if value is not None
    }


def moved(kept: pa.Table, changes: pa.Table) -> pa.Table:
    """The bookmarks ``kept`` after ``changes``, whose names are unique."""
    untouched = pc.invert(pc.is_in(kept["name"], value_set=changes["name"].combine_chunks()))
    return pa.concat_tables([kept.filter(untouched), changes.filter(changes["value"].is_valid())])


def latest(told: Sequence[pa.Table]) -> pa.Table:
    """Of each bookmark what the tables, which have each once, tell last."""
    if len(told) == 1:
        return told[0]
    every = pa.concat_tables(told)
    numbered = every.append_column("number", pa.array(np.arange(every.num_rows)))
    last = numbered.group_by("name").aggregate([("number", "max")])["number_max"]
    return every.take(last.combine_chunks().sort())
