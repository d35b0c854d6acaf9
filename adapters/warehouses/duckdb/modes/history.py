"""History mode: one row per version of a key, its interval from one sequence to the next.

The versions that a piece may touch are taken out, put in one chain with the new states, and written back. A later
piece of the same commit takes back what an earlier one did to a key, so that each commit makes one version at most.
"""

from __future__ import annotations

from datetime import datetime

from adapters.warehouses.duckdb.sql import METADATA, Statement, columns, insert_state, quote, same_key, staging
from pipeline.domain.loading import Target, Truncation

KEYS = '"history_keys"'
TOUCHED = '"history_touched"'
HELD = '"history_held"'

#: A sequence without its 44 bits of ordinal: the lowest that the same commit can have.
_COMMIT = "CAST((CAST({} AS HUGEINT) >> 44) << 44 AS DECIMAL(38,0))"


def truncate(target: Target, truncation: Truncation) -> tuple[Statement, ...]:
    """Close the current versions; those that the same commit made are taken back, and the ones before closed."""
    floor = (truncation.sequence >> 44) << 44
    table, keys = staging(target), columns(target.schema.key)
    sequence, commit_at = {"sequence": truncation.sequence}, {"commit_at": truncation.commit_at}
    made = f"""CREATE OR REPLACE TEMP TABLE {KEYS} AS
SELECT {keys} FROM {table}
WHERE "_cdc_current" AND "_cdc_valid_from" >= $floor AND "_cdc_valid_from" < $sequence"""
    take_back = f"""DELETE FROM {table}
WHERE "_cdc_current" AND "_cdc_valid_from" >= $floor AND "_cdc_valid_from" < $sequence"""
    reclose = f"""UPDATE {table} AS t
SET "_cdc_valid_to" = $sequence, "_cdc_valid_to_at" = greatest($commit_at, t."_cdc_valid_from_at")
FROM {KEYS} AS k
WHERE {same_key(target, "t", "k")} AND t."_cdc_valid_to" >= $floor"""
    close = f"""UPDATE {table}
SET "_cdc_valid_to" = $sequence, "_cdc_valid_to_at" = greatest($commit_at, "_cdc_valid_from_at"),
    "_cdc_current" = false
WHERE "_cdc_current" AND "_cdc_valid_from" < $sequence"""
    return (
        Statement(made, {"floor": floor, **sequence}),
        Statement(take_back, {"floor": floor, **sequence}),
        Statement(reclose, {"floor": floor, **sequence, **commit_at}),
        Statement(close, {**sequence, **commit_at}),
    )


def upsert(target: Target, source: str) -> tuple[str, ...]:
    """Put states and the versions they touch in one chain per key."""
    delete = f"""DELETE FROM {staging(target)} AS t USING {TOUCHED} AS h
WHERE {same_key(target, "t", "h")} AND t."_cdc_valid_from" = h."_cdc_valid_from\""""
    return (_keys(target, source), _touched(target), delete, _chain(target, source))


def fill(target: Target, source: str) -> tuple[str, ...]:
    """Insert, where each key has one state and no version before it."""
    return (insert_state(target, source),)


def is_first(target: Target, source: str) -> str:
    """One row if every key has one state, none a delete, and no version stands under any of them."""
    keys = columns(target.schema.key)
    return f"""SELECT 1 WHERE NOT EXISTS (SELECT 1 FROM {source} WHERE "_cdc_op" = 'delete')
    AND NOT EXISTS (SELECT 1 FROM {source} GROUP BY {keys} HAVING count(*) > 1)
    AND NOT EXISTS (SELECT 1 FROM {staging(target)} AS t JOIN {source} AS s ON {same_key(target, "t", "s")})"""


def begin_held(target: Target) -> str:
    """An empty list of the keys that a copy holds."""
    return f"CREATE OR REPLACE TEMP TABLE {HELD} AS\nSELECT {columns(target.schema.key)} FROM {staging(target)} LIMIT 0"


def add_held(target: Target, source: str) -> str:
    """Add the keys of a copy's piece."""
    return f"INSERT INTO {HELD}\nSELECT {columns(target.schema.key)} FROM {source}"


def close_unheld(target: Target, *, sequence: int, at: datetime) -> Statement:
    """Close the current versions of keys that the copy did not hold."""
    text = f"""UPDATE {staging(target)} AS t
SET "_cdc_valid_to" = $sequence, "_cdc_valid_to_at" = greatest($at, t."_cdc_valid_from_at"), "_cdc_current" = false
WHERE t."_cdc_current" AND NOT EXISTS (SELECT 1 FROM {HELD} AS h WHERE {same_key(target, "t", "h")})"""
    return Statement(text, {"sequence": sequence, "at": at})


def _keys(target: Target, source: str) -> str:
    keys = columns(target.schema.key)
    floor = _COMMIT.format('min("_cdc_sequence")')
    return f"""CREATE OR REPLACE TEMP TABLE {KEYS} AS
SELECT {keys}, {floor} AS "_cdc_floor"
FROM {source} GROUP BY {keys}"""


def _touched(target: Target) -> str:
    return f"""CREATE OR REPLACE TEMP TABLE {TOUCHED} AS
SELECT k."_cdc_floor", t.*
FROM {staging(target)} AS t JOIN {KEYS} AS k ON {same_key(target, "t", "k")}
WHERE t."_cdc_valid_to" IS NULL OR t."_cdc_valid_to" >= k."_cdc_floor\""""


def _chain(target: Target, source: str) -> str:
    """``earlier`` gives the end of the key's untouched versions; ``events`` the versions that stood before the
    commits at hand, and the new states; ``kept`` those of them that change something.
    """
    data, keys = columns(target.schema.names), columns(target.schema.key)
    state = '"_cdc_op", "_cdc_sequence", "_cdc_commit_at", "_cdc_load", "_cdc_loaded_at"'
    row = ", ".join(f"c{number} := {column}" for number, column in enumerate(map(quote, target.schema.names)))
    return f"""INSERT INTO {staging(target)} ({columns([*target.schema.names, *METADATA])})
WITH earlier AS (
    SELECT {columns(target.schema.key, "t")}, max(t."_cdc_valid_to_at") AS "_cdc_ended_at"
    FROM {staging(target)} AS t JOIN {KEYS} AS k ON {same_key(target, "t", "k")}
    GROUP BY ALL
), events AS (
    SELECT {data}, {state}, "_cdc_valid_from_at" AS "_cdc_at", false AS "_cdc_is_delete"
    FROM {TOUCHED} WHERE "_cdc_valid_from" < "_cdc_floor"
    UNION ALL
    SELECT {data}, {state}, "_cdc_commit_at", "_cdc_op" = 'delete'
    FROM {source}
), valued AS (
    SELECT *, struct_pack({row}) AS "_cdc_values" FROM events
), compared AS (
    SELECT *, lag("_cdc_is_delete", 1, true) OVER chain AS "_cdc_is_gone",
        lag("_cdc_values") OVER chain AS "_cdc_before"
    FROM valued WINDOW chain AS (PARTITION BY {keys} ORDER BY "_cdc_sequence")
), kept AS (
    SELECT * FROM compared
    WHERE CASE WHEN "_cdc_is_delete" THEN NOT "_cdc_is_gone"
        ELSE "_cdc_is_gone" OR "_cdc_values" IS DISTINCT FROM "_cdc_before" END
), reached AS (
    SELECT k.*, max(greatest(k."_cdc_at", e."_cdc_ended_at")) OVER (
        PARTITION BY {columns(target.schema.key, "k")} ORDER BY k."_cdc_sequence"
    ) AS "_cdc_reached_at"
    FROM kept AS k LEFT JOIN earlier AS e ON {same_key(target, "k", "e")}
), versions AS (
    SELECT *, lead("_cdc_sequence") OVER chain AS "_cdc_next", lead("_cdc_reached_at") OVER chain AS "_cdc_next_at"
    FROM reached WINDOW chain AS (PARTITION BY {keys} ORDER BY "_cdc_sequence")
)
SELECT {data}, {state}, false, "_cdc_sequence", "_cdc_next", "_cdc_reached_at", "_cdc_next_at", "_cdc_next" IS NULL
FROM versions WHERE NOT "_cdc_is_delete\""""
