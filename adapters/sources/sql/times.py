"""Dates and times that are kept as text, in the forms of ISO 8601 that SQLite's own functions read.

Texts of the usual form are read whole columns at a time, others one by one; what is none is a misfit.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable
from contextlib import suppress

import pyarrow as pa
import pyarrow.compute as pc

from adapters.sources.sql.database import Lost

NOT_A_TIME = "cannot be read as a date or time of ISO 8601"

_DAY = r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
_CLOCK = r"[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,6})?"
_USUAL_STAMP = f"^{_DAY}[ T]{_CLOCK}$"
_USUAL_DAY = f"^{_DAY}$"
#: What a date and a time of day contain in any form; ISO 8601 also knows forms that are numbers: 20260101.
_DATED, _TIMED = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}"), re.compile(r"[0-9]{2}:[0-9]{2}")
_FINER = re.compile(r"[.,][0-9]{6}[0-9]*[1-9]")


def timestamps(texts: pa.Array, kind: pa.TimestampType) -> tuple[pa.Array, list[Lost]]:
    """Instants. A zone in a text is heeded: the value is the instant in UTC; a text without one is taken as it is."""

    def odd(text: str) -> dt.datetime:
        if _FINER.search(text) or not _DATED.search(text):
            raise ValueError("finer than microseconds, or a number")
        at = dt.datetime.fromisoformat(text.strip())
        at = at if at.tzinfo is None else at.astimezone(dt.UTC)
        return at.replace(tzinfo=dt.UTC if kind.tz else None)

    def usual(plain: pa.Array) -> pa.Array:
        naive = pc.cast(plain, pa.timestamp("us"))
        return naive.cast(pa.int64()).cast(kind)

    return _read(texts, kind, pattern=_USUAL_STAMP, usual=usual, odd=odd, shortest=len("2026-01-01 00:00:00"))


def dates(texts: pa.Array) -> tuple[pa.Array, list[Lost]]:
    """Days; a text with a time of day other than midnight is none."""

    def odd(text: str) -> dt.date:
        at = dt.datetime.fromisoformat(text.strip())
        if at.tzinfo is not None or at.time() != dt.time() or not _DATED.search(text):
            raise ValueError("more than a date")
        return at.date()

    def usual(plain: pa.Array) -> pa.Array:
        return pc.cast(plain, pa.date32())

    return _read(texts, pa.date32(), pattern=_USUAL_DAY, usual=usual, odd=odd, shortest=len("2026-01-01"))


def clock_times(texts: pa.Array) -> tuple[pa.Array, list[Lost]]:
    """Times of day, without a zone."""

    def odd(text: str) -> dt.time:
        if _FINER.search(text) or not _TIMED.search(text):
            raise ValueError("finer than microseconds, or a number")
        at = dt.time.fromisoformat(text.strip())
        if at.tzinfo is not None:
            raise ValueError("a time with a zone")
        return at

    def usual(plain: pa.Array) -> pa.Array:
        stamps = pc.cast(pc.binary_join_element_wise("1970-01-01", plain, " "), pa.timestamp("us"))
        return stamps.cast(pa.int64()).cast(pa.time64("us"))

    return _read(texts, pa.time64("us"), pattern=f"^{_CLOCK}$", usual=usual, odd=odd, shortest=len("00:00:00"))


def _read(
    texts: pa.Array,
    kind: pa.DataType,
    *,
    pattern: str,
    usual: Callable[[pa.Array], pa.Array],
    odd: Callable[[str], object],
    shortest: int,
) -> tuple[pa.Array, list[Lost]]:
    """``usual`` reads texts of the ``pattern`` right or refuses all, and all others of ``shortest`` bytes or more."""
    if (pc.min(pc.binary_length(texts)).as_py() or 0) >= shortest:
        with suppress(pa.ArrowInvalid):
            return usual(texts), []
    is_usual = pc.fill_null(pc.match_substring_regex(texts, pattern), True)
    try:
        values = usual(pc.if_else(is_usual, texts, None))
    except pa.ArrowInvalid:
        is_usual = pa.repeat(False, len(texts))  # a month 13: each text has to be read by itself
        values = pa.nulls(len(texts), kind)
    if pc.all(is_usual, min_count=0).as_py():
        return values, []
    rows = pc.indices_nonzero(pc.and_(pc.invert(is_usual), texts.is_valid())).cast(pa.int64())
    encoded = texts.take(rows).dictionary_encode()
    read = [_or_none(odd, text) for text in encoded.dictionary.to_pylist()]
    found = pa.array(read, kind).take(encoded.indices)
    mask = pc.and_(pc.invert(is_usual), texts.is_valid())
    values = pc.replace_with_mask(values, mask, found)
    lost = found.is_null()
    if not pc.any(lost, min_count=0).as_py():
        return values, []
    return values, [(rows.filter(lost), encoded.cast(pa.string()).filter(lost), NOT_A_TIME)]


def _or_none(read: Callable[[str], object], text: str) -> object:
    try:
        return read(text)
    except (ValueError, OverflowError):
        return None
