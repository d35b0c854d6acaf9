"""What a piece of changes does to the staging table in each mode, as SQL; running it is ``load``'s."""

from __future__ import annotations

from typing import assert_never

from adapters.warehouses.changerows import Stamp
from adapters.warehouses.duckdb.modes import history, mirror, soft_delete
from adapters.warehouses.duckdb.sql import Statement
from pipeline.domain.loading import Target, Truncation
from pipeline.domain.stream import Mode


def truncate(target: Target, truncation: Truncation, stamp: Stamp) -> tuple[Statement, ...]:
    """The statements by which all rows present before a TRUNCATE are gone."""
    match target.mode:
        case Mode.MIRROR:
            return mirror.truncate(target, truncation)
        case Mode.SOFT_DELETE:
            return soft_delete.truncate(target, truncation, stamp)
        case Mode.HISTORY:
            return history.truncate(target, truncation)
        case Mode.APPEND:
            return ()
        case _:
            assert_never(target.mode)


def upsert(target: Target, source: str) -> tuple[str, ...]:
    """The statements that apply the state rows in ``source`` to a staging table that may hold their keys."""
    match target.mode:
        case Mode.MIRROR:
            return mirror.upsert(target, source)
        case Mode.SOFT_DELETE:
            return soft_delete.upsert(target, source)
        case Mode.HISTORY:
            return history.upsert(target, source)
        case Mode.APPEND:
            return ()
        case _:
            assert_never(target.mode)


def fill(target: Target, source: str) -> tuple[str, ...]:
    """The statements that apply state rows, one per key, to a staging table that holds none of their keys."""
    match target.mode:
        case Mode.MIRROR:
            return mirror.fill(target, source)
        case Mode.SOFT_DELETE:
            return soft_delete.fill(target, source)
        case Mode.HISTORY:
            return history.fill(target, source)
        case Mode.APPEND:
            return ()
        case _:
            assert_never(target.mode)
