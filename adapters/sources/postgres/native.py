"""Dates and times that a snapshot reads in binary form, held to the same limits as the log's texts.

PostgreSQL's binary form counts from 2000 and keeps the ends of the range for infinity; ADBC shifts the count to 1970,
letting it wrap around. Undoing that tells every value exactly.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from adapters.sources.postgres import odd_values
from adapters.sources.postgres.values import FIRST_MICROSECOND, LAST_MICROSECOND, Misfits
from pipeline.domain.schema import Column

_DAY = 86_400_000_000
_FIRST_DAY = FIRST_MICROSECOND // _DAY
_LAST_DAY = LAST_MICROSECOND // _DAY
_DAYS_TO_2000 = 10_957


def native_values(column: Column, array: pa.Array) -> tuple[pa.Array, Misfits]:
    """The values that ADBC read for ``column`` without a cast, and those that the log's codec would not take.

    Texts of misfits are as PostgreSQL writes them under the pinned settings.
    """
    kind = array.type
    if pa.types.is_date32(kind):
        return _dates(array)
    if pa.types.is_timestamp(kind):
        return _timestamps(array)
    if pa.types.is_time64(kind):
        return _times(array)
    return array, []


def _dates(array: pa.Array) -> tuple[pa.Array, Misfits]:
    days = array.view(pa.int32())
    if _is_within(days, first=_FIRST_DAY, last=_LAST_DAY):
        return array, []
    since_2000 = np.asarray(days.fill_null(0)).astype(np.int64) - _DAYS_TO_2000
    wrapped = since_2000.astype(np.int32)
    limits = np.iinfo(np.int32)
    infinite = (wrapped == limits.min) | (wrapped == limits.max)
    beyond = wrapped.astype(np.int64) + _DAYS_TO_2000
    outside = (beyond < _FIRST_DAY) | (beyond > _LAST_DAY)
    texts = {row: _date_text(int(beyond[row])) for row in np.flatnonzero(outside & ~infinite).tolist()}
    return _misfits(array, wrapped, infinite=infinite, texts=texts)


def _timestamps(array: pa.Array) -> tuple[pa.Array, Misfits]:
    moments = array.view(pa.int64())
    if _is_within(moments, first=FIRST_MICROSECOND, last=LAST_MICROSECOND):
        return array, []
    shift = np.int64(_DAYS_TO_2000 * _DAY)
    wrapped = np.asarray(moments.fill_null(0)) - shift
    limits = np.iinfo(np.int64)
    infinite = (wrapped == limits.min) | (wrapped == limits.max)
    outside = (wrapped < FIRST_MICROSECOND - shift) | (wrapped > LAST_MICROSECOND - shift)
    zone = "+00" if array.type.tz else ""
    texts = {row: _stamp_text(int(wrapped[row]), zone) for row in np.flatnonzero(outside & ~infinite).tolist()}
    return _misfits(array, wrapped, infinite=infinite, texts=texts)


def _times(array: pa.Array) -> tuple[pa.Array, Misfits]:
    ends = pc.fill_null(pc.greater_equal(array.view(pa.int64()), _DAY), False)
    if not pc.any(ends).as_py():
        return array, []
    rows = pc.indices_nonzero(ends).cast(pa.int64())
    misfits = [(rows, pa.array(["24:00:00"] * len(rows), pa.string()), odd_values.END_OF_DAY)]
    return pc.if_else(ends, None, array), misfits


def _is_within(numbers: pa.Array, *, first: int, last: int) -> bool:
    bounds = pc.min_max(numbers).as_py()
    return bounds["min"] is None or bool(first <= bounds["min"] and bounds["max"] <= last)


def _misfits(
    array: pa.Array, wrapped: np.ndarray, *, infinite: np.ndarray, texts: dict[int, str]
) -> tuple[pa.Array, Misfits]:
    misfits: Misfits = []
    rows = np.flatnonzero(infinite)
    if len(rows):
        shown = ["infinity" if wrapped[row] > 0 else "-infinity" for row in rows]
        misfits.append((pa.array(rows, pa.int64()), pa.array(shown, pa.string()), odd_values.INFINITE))
    if texts:
        rows_outside = pa.array(list(texts), pa.int64())
        misfits.append((rows_outside, pa.array(list(texts.values()), pa.string()), odd_values.OUT_OF_YEARS))
    bad = infinite.copy()
    bad[list(texts)] = True
    return pc.if_else(pa.array(bad), None, array), misfits


def _stamp_text(since_2000: int, zone: str) -> str:
    days, rest = divmod(since_2000, _DAY)
    date, _, era = _date_text(days + _DAYS_TO_2000).partition(" ")
    seconds, fraction = divmod(rest, 1_000_000)
    clock = f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"
    decimals = f".{fraction:06}".rstrip("0") if fraction else ""
    return f"{date} {clock}{decimals}{zone}{' ' + era if era else ''}"


def _date_text(since_1970: int) -> str:
    """The proleptic Gregorian date, moved by whole cycles of 400 years into what the calendar can show."""
    cycles, day = divmod(since_1970 + 719_162, 146_097)
    shown = np.datetime64("0001-01-01") + np.timedelta64(day, "D")
    first, month, of_month = str(shown).split("-")
    year = int(first) + 400 * cycles
    return f"{year:04}-{month}-{of_month}" if year > 0 else f"{1 - year:04}-{month}-{of_month} BC"
