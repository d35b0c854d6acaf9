"""The short text by which a sensor tells that a stream may have changed.

What the database counts is the dialects' affair.
"""

from __future__ import annotations

import time

from adapters.sources.sql.database import Database
from adapters.sources.sql.reading import Detect, Reading


def mark(database: Database, reading: Reading) -> str | None:
    """What the database counts; None where it counts nothing, or where rows become visible by the clock alone."""
    if reading.lag_s:
        return None
    stamp = database.stamp(None if reading.query else database.name_of(reading.relation))
    if stamp is None or not (reading.finds_deletes and reading.every_s):
        return stamp
    # A row that was deleted is found by the next comparison of keys, which nothing but the clock announces.
    return f"{stamp};{int(time.time() // reading.every_s)}" if reading.detect is Detect.CURSOR else stamp
