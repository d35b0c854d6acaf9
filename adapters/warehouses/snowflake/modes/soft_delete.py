"""Soft-delete mode: deleted rows stay as tombstones with their last values."""

from __future__ import annotations

from adapters.warehouses.changerows import Stamp
from adapters.warehouses.snowflake import sql
from adapters.warehouses.snowflake.keyrange import KeyRange
from adapters.warehouses.snowflake.statement import Statement, quote
from adapters.warehouses.snowflake.types import BOUND_INSTANT
from pipeline.domain.change import COMMIT_AT, OP, SEQUENCE
from pipeline.domain.loading import Target, Truncation
from pipeline.domain.tables import DELETED, LOAD, LOADED_AT, VALID_FROM, VALID_FROM_AT


def truncate(table: str, truncation: Truncation, stamp: Stamp) -> Statement:
    """Make tombstones of the live rows; older tombstones stay as they are."""
    at = sql.instant(truncation.commit_at)
    values: dict[str, tuple[str, tuple[object, ...]]] = {
        OP: ("'truncate'", ()),
        SEQUENCE: ("?", (truncation.sequence,)),
        COMMIT_AT: (f"{BOUND_INSTANT}", (at,)),
        LOAD: ("?", (stamp.load,)),
        LOADED_AT: (f"{BOUND_INSTANT}", (sql.instant(stamp.at),)),
        DELETED: ("TRUE", ()),
        VALID_FROM: ("?", (truncation.sequence,)),
        VALID_FROM_AT: (f"{BOUND_INSTANT}", (at,)),
    }
    bound = [value for _, found in values.values() for value in found]
    return Statement(
        f"""UPDATE {table} SET {sql.assignments((name, text) for name, (text, _) in values.items())}
WHERE NOT {quote(DELETED)} AND {quote(SEQUENCE)} < ?""",
        [*bound, truncation.sequence],
    )


def upsert(target: Target, table: str, states: str, keys: KeyRange | None) -> Statement:
    """One MERGE: overwrite or insert, tombstones too, unless the row that stands is newer (P4)."""
    own = [(name, f"s.{quote(name)}") for name in (*target.schema.names, *sql.STATE_METADATA)]
    derived = sql.derived(alias="s", deleted=f"s.{sql.IS_DELETE}")
    changing = [(name, derived[name]) for name in (DELETED, VALID_FROM, VALID_FROM_AT)]
    within = f"\n    AND {keys.within('t')}" if keys else ""
    return Statement(
        f"""MERGE INTO {table} AS t
USING ({states}) AS s
ON {sql.same_key(target, "t", "s")}{within}
WHEN MATCHED AND s.{quote(SEQUENCE)} > t.{quote(SEQUENCE)} THEN UPDATE SET {sql.assignments([*own, *changing])}
WHEN NOT MATCHED THEN {sql.insertion([*own, *derived.items()])}""",
        keys.values if keys else (),
    )
