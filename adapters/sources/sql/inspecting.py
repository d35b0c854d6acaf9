"""What ``doctor`` says of a stream of a SQL database: what would stop reading it, and what would make it slow or wrong.

Nothing is changed by asking, and nothing is asked that reads a whole table without an index, but for two counts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import pyarrow as pa

from adapters.sources.sql.cursors import cursor_columns, is_time
from adapters.sources.sql.database import Database, Described, Select, Selected
from adapters.sources.sql.discovery import indexed_columns
from adapters.sources.sql.errors import translated
from adapters.sources.sql.reading import Detect, reading_of
from pipeline.domain.errors import ErrorKind, PipelineError
from pipeline.domain.finding import Finding, Level
from pipeline.domain.schema import StreamSchema
from pipeline.domain.stream import Mode, StreamSpec

#: A clock that is further off than this makes lags and ceilings wrong.
_CLOCK_S = 60.0
#: So many keys and cursors are looked at for repetitions and nulls.
_LOOKED_AT = 1_000_000


def inspect(
    database: Database, spec: StreamSpec, *, where: str, schema: Callable[[], StreamSchema]
) -> tuple[Finding, ...]:
    """Findings in the order in which things would fail."""
    try:
        reading = reading_of(spec)
        read = schema()
    except PipelineError as error:
        check = "source" if error.kind is ErrorKind.UNREACHABLE else str(error.facts.get("case", "table"))
        return (Finding.of(error, check, where=error.where or where),)
    found = [Finding(Level.OK, "table", f"{len(read.columns)} columns can be read", where)]
    try:
        described = database.describe(reading, exclude=spec.exclude)
        found += _clock(database, where)
        found += _key(database, described, spec, where)
        if reading.detect is Detect.CURSOR:
            found += _cursor(database, described, where)
    except PipelineError as error:
        found.append(Finding.of(error, "source", where=error.where or where))
    return tuple(found)


def _clock(database: Database, where: str) -> Iterator[Finding]:
    view = database.view()
    try:
        apart_s = (view.now() - datetime.now(UTC)).total_seconds()
    finally:
        view.close()
    if abs(apart_s) > _CLOCK_S:
        yield Finding(
            Level.WARNING,
            "clock",
            f"the database's clock and this machine's are {abs(apart_s):,.0f} s apart",
            database.where,
            "Set the clocks right: lags are counted by the database's.",
        )


def _key(database: Database, described: Described, spec: StreamSpec, where: str) -> Iterator[Finding]:
    names = described.reading.key or described.key
    if not names:
        yield Finding(
            Level.WARNING if spec.mode is not Mode.APPEND else Level.INFO,
            "key",
            "there is no key, so one is made of every whole row: an update shows as a delete and an insert",
            where,
            "Name the columns that identify a row in read.key, if there are any.",
        )
        if described.reading.detect is Detect.CURSOR and spec.mode is not Mode.APPEND:
            yield Finding(
                Level.WARNING,
                "updates",
                "without a key the row before an update stays, since nothing tells that it is gone",
                where,
                "Take detect: hash, or mode: append.",
            )
        return
    if sorted(names) == sorted(described.key):
        yield Finding(Level.OK, "key", f"primary key {', '.join(names)}", where)
        return
    repeated, missing = _repeated(database, described, [described.selected(name) for name in names])
    if repeated or missing:
        yield Finding(
            Level.ERROR,
            "key",
            f"{repeated:,} rows repeat the key {', '.join(names)} and {missing:,} have none, "
            f"among the first {_LOOKED_AT:,}",
            where,
            "Name other columns in read.key: rows with one key would overwrite each other.",
        )
    else:
        yield Finding(Level.OK, "key", f"key {', '.join(names)} is unique among the first {_LOOKED_AT:,} rows", where)


def _repeated(database: Database, described: Described, key: list[Selected]) -> tuple[int, int]:
    """How many rows repeat a key, and how many have a null in it."""
    keys = _looked_at(database, described, tuple(key))
    names = keys.column_names
    missing = keys.num_rows - keys.drop_null().num_rows
    distinct = keys.group_by(names).aggregate([]).num_rows
    return keys.num_rows - distinct, missing


def _cursor(database: Database, described: Described, where: str) -> Iterator[Finding]:
    cursor = cursor_columns(described, where=where, compares_texts=database.compares_texts)
    first = cursor[0].column
    yield Finding(Level.OK, "cursor", f"cursor {', '.join(described.reading.cursor)}", where)
    if not described.reading.query:
        with translated(database.where):
            indexed = indexed_columns(database.inspector(), database.name_of(described.reading.relation))
        if first.source_name not in indexed:
            yield Finding(
                Level.WARNING,
                "index",
                f"no index begins with the cursor column {first.source_name}, so every look reads the whole table",
                where,
                "Create one, or let looks be rare.",
            )
    if not is_time(first.type) and not pa.types.is_integer(first.type):
        yield Finding(
            Level.WARNING,
            "late",
            f"rows that are committed with an earlier {first.source_name} than one already seen are not found",
            where,
            "Take a cursor of times or whole numbers, which can overlap.",
        )
    if any(selected.column.nullable for selected in cursor):
        yield from _nulls(database, described, cursor, where)


def _nulls(database: Database, described: Described, cursor: tuple[Selected, ...], where: str) -> Iterator[Finding]:
    found = _looked_at(database, described, cursor)
    missing = found.num_rows - found.drop_null().num_rows
    if missing:
        yield Finding(
            Level.WARNING,
            "nulls",
            f"{missing:,} rows have no cursor; they are read and compared by every look",
            where,
            "Fill the column, if there are many of them.",
        )


def _looked_at(database: Database, described: Described, columns: tuple[Selected, ...]) -> pa.Table:
    view = database.view()
    try:
        pieces = [piece.table for piece in view.read(Select(described, columns, limit=_LOOKED_AT))]
    finally:
        view.close()
    empty = pa.schema([pa.field(selected.column.name, selected.column.type) for selected in columns]).empty_table()
    return pa.concat_tables([empty, *pieces])
