"""What a piece of changes does to the staging table in each mode, as SQL; running it is ``load``'s and ``rebuild``'s.

``table`` is the staging table's name, or that of the table that a staging table is built in.
"""

from __future__ import annotations

from typing import assert_never

from adapters.warehouses.changerows import Stamp
from adapters.warehouses.snowflake.keyrange import KeyRange
from adapters.warehouses.snowflake.modes import history, mirror, soft_delete
from adapters.warehouses.snowflake.statement import Statement
from pipeline.domain.loading import Target, Truncation
from pipeline.domain.stream import Mode


def truncate(target: Target, table: str, truncation: Truncation, stamp: Stamp) -> tuple[Statement, ...]:
    """The statements by which all rows present before a TRUNCATE are gone."""
    match target.mode:
        case Mode.MIRROR:
            return (mirror.truncate(table, truncation),)
        case Mode.SOFT_DELETE:
            return (soft_delete.truncate(table, truncation, stamp),)
        case Mode.HISTORY:
            return (history.truncate(target, table, truncation),)
        case Mode.APPEND:
            return ()
        case _:
            assert_never(target.mode)


def upsert(target: Target, table: str, states: str, keys: KeyRange | None) -> tuple[Statement, ...]:
    """The statements that apply the states that the SELECT ``states`` gives, all of which lie within ``keys``."""
    match target.mode:
        case Mode.MIRROR:
            return (mirror.upsert(target, table, states, keys),)
        case Mode.SOFT_DELETE:
            return (soft_delete.upsert(target, table, states, keys),)
        case Mode.HISTORY:
            return (history.upsert(target, table, states),)
        case Mode.APPEND:
            return ()
        case _:
            assert_never(target.mode)


def begin_copy(target: Target, table: str) -> tuple[Statement, ...]:
    """The statements before a copy: the table is emptied; in history mode its versions stay, to be reconciled."""
    if target.mode in (Mode.HISTORY, Mode.APPEND):
        return ()
    return (Statement(f"DELETE FROM {table}"),)


def fill(target: Target, table: str, states: str) -> tuple[Statement, ...]:
    """The statements that apply a copy's states, one for each key, after ``begin_copy``."""
    match target.mode:
        case Mode.MIRROR | Mode.SOFT_DELETE:
            return (mirror.fill(target, table, states),)
        case Mode.HISTORY:
            return (history.upsert(target, table, states),)
        case Mode.APPEND:
            return ()
        case _:
            assert_never(target.mode)


def end_copy(target: Target, table: str, stamp: Stamp) -> tuple[Statement, ...]:
    """The statements after a copy: in history mode, versions that the copy did not hold are closed."""
    return (history.close_unheld(target, table, stamp),) if target.mode is Mode.HISTORY else ()
