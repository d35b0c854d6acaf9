"""Where a look by a cursor begins and ends: overlaps, lags and the database's clock, in the cursor's own values.

Following the cursor from look to look is ``adapters.sources.polling.cursor``'s.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pyarrow as pa

from adapters.sources.polling.extractor import Window
from adapters.sources.sql.database import Described, Selected
from adapters.sources.sql.reading import Reading
from pipeline.domain.errors import ConfigError, SourceRejected

#: How late a row may be committed behind its time, unless told otherwise; and by how many numbers.
DEFAULT_OVERLAP_S = 300.0
DEFAULT_OVERLAP = 1_000

_DAY_S = 86_400


def cursor_columns(described: Described, *, where: str, compares_texts: bool = True) -> tuple[Selected, ...]:
    """The cursor's columns; raises ``SourceRejected`` for one that is not there, or cannot be put in order."""
    found = []
    for name in described.reading.cursor:
        try:
            selected = described.selected(name)
        except KeyError:
            raise SourceRejected(
                f"the cursor column {name} is not there",
                where=where,
                hint="Name a column of the stream that it does not exclude, spelled as in the database.",
                case="cursor",
            ) from None
        if not selected.ordered or (pa.types.is_string(selected.column.type) and not compares_texts):
            raise SourceRejected(
                f"the cursor column {name} is of type {selected.column.source_type}, which cannot be followed",
                where=where,
                hint="Take a column of numbers, dates or times, or detect: hash.",
                case="cursor",
            )
        found.append(selected)
    return tuple(found)


def window_of(cursor: tuple[Selected, ...], reading: Reading, *, now: datetime, where: str) -> Window:
    """The window of a look: up to the column that the overlap is subtracted from; what comes behind it only orders."""
    place, overlap = _overlap(cursor, reading, where=where)
    columns = [selected.column.name for selected in cursor[: place + 1]]
    first = cursor[0].column.type
    ceiling = instant_scalar(now, first) if is_time(first) else None
    return Window(columns[-1], overlap, before=tuple(columns[:-1]), ceiling=ceiling)


def until_of(cursor: tuple[Selected, ...], reading: Reading, *, now: datetime) -> tuple[Selected, pa.Scalar] | None:
    """Up to where rows are taken, None: all; raises ``ConfigError`` for a lag behind no time."""
    if not reading.lag_s:
        return None
    if not is_time(cursor[0].column.type):
        raise ConfigError(
            "lag is for cursors that are times",
            where=f"cursor {cursor[0].column.source_name}",
            hint="Take it out: numbers that are committed late are found by the overlap.",
        )
    return cursor[0], instant_scalar(now - timedelta(seconds=reading.lag_s), cursor[0].column.type)


def is_time(kind: pa.DataType) -> bool:
    """Whether a cursor of this type follows the clock."""
    return bool(pa.types.is_timestamp(kind) or pa.types.is_date(kind))


def instant_scalar(at: datetime, kind: pa.DataType) -> pa.Scalar:
    """An instant in the type of a cursor: one without a zone is taken for UTC."""
    at = at.astimezone(UTC)
    if pa.types.is_date(kind):
        return pa.scalar(at.date(), kind)
    return pa.scalar(at if kind.tz else at.replace(tzinfo=None), kind)


def _overlap(cursor: tuple[Selected, ...], reading: Reading, *, where: str) -> tuple[int, pa.Scalar | None]:
    """The place of the column that is gone back in, and by how much."""
    kinds = [selected.column.type for selected in cursor]
    given = reading.overlap
    last = len(kinds) - 1
    if given == 0:
        return last, None
    time = next((place for place, kind in enumerate(kinds) if pa.types.is_timestamp(kind)), None)
    if given is None:
        if time is not None:
            return time, pa.scalar(timedelta(seconds=DEFAULT_OVERLAP_S), pa.duration("us"))
        return last, pa.scalar(DEFAULT_OVERLAP, pa.int64()) if pa.types.is_integer(kinds[last]) else None
    if time is not None:
        return time, pa.scalar(timedelta(seconds=given), pa.duration("us"))
    for place, kind in enumerate(kinds):
        if pa.types.is_date(kind) and given >= _DAY_S:
            return place, pa.scalar(timedelta(days=-(-given // _DAY_S)), pa.duration("s"))
        if pa.types.is_integer(kind) or pa.types.is_decimal(kind):
            return place, pa.scalar(int(given), pa.int64())
        if pa.types.is_floating(kind):
            return place, pa.scalar(given, pa.float64())
    raise ConfigError(
        "overlap fits none of the cursor's columns",
        where=where,
        hint="It is a duration for times, a whole number of days for dates, a number for numbers; a text has none.",
    )
