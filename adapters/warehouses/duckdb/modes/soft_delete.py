"""Soft-delete mode: deleted rows stay as tombstones with their last values."""

from __future__ import annotations

from adapters.warehouses.changerows import Stamp
from adapters.warehouses.duckdb.sql import Statement, delete_matched, insert_state, staging
from pipeline.domain.loading import Target, Truncation


def truncate(target: Target, truncation: Truncation, stamp: Stamp) -> tuple[Statement, ...]:
    """Make tombstones of the live rows; older tombstones stay as they are."""
    text = f"""UPDATE {staging(target)}
SET "_cdc_op" = 'truncate', "_cdc_sequence" = $sequence, "_cdc_commit_at" = $commit_at,
    "_cdc_load" = $load, "_cdc_loaded_at" = $loaded_at, "_cdc_deleted" = true,
    "_cdc_valid_from" = $sequence, "_cdc_valid_from_at" = $commit_at
WHERE NOT "_cdc_deleted" AND "_cdc_sequence" < $sequence"""
    values: dict[str, object] = {
        "sequence": truncation.sequence,
        "commit_at": truncation.commit_at,
        "load": stamp.load,
        "loaded_at": stamp.at,
    }
    return (Statement(text, values),)


def upsert(target: Target, source: str) -> tuple[str, ...]:
    """Delete what stands under the keys and insert the new rows, tombstones too."""
    return (delete_matched(target, source), insert_state(target, source))


def fill(target: Target, source: str) -> tuple[str, ...]:
    """Insert."""
    return (insert_state(target, source),)
