"""Mirror mode: the staging table holds exactly the rows that the source holds."""

from __future__ import annotations

from adapters.warehouses.snowflake import sql
from adapters.warehouses.snowflake.keyrange import KeyRange
from adapters.warehouses.snowflake.statement import Statement, columns, quote
from pipeline.domain.change import SEQUENCE
from pipeline.domain.loading import Target, Truncation
from pipeline.domain.tables import VALID_FROM, VALID_FROM_AT


def truncate(table: str, truncation: Truncation) -> Statement:
    """Delete the rows that were there before."""
    return Statement(f"DELETE FROM {table}\nWHERE {quote(SEQUENCE)} < ?", [truncation.sequence])


def upsert(target: Target, table: str, states: str, keys: KeyRange | None) -> Statement:
    """One MERGE: delete, overwrite or insert, unless the row that stands is newer (P4)."""
    own = [(name, f"s.{quote(name)}") for name in (*target.schema.names, *sql.STATE_METADATA)]
    derived = sql.derived(alias="s")
    changing = [(name, derived[name]) for name in (VALID_FROM, VALID_FROM_AT)]
    is_newer = f"s.{quote(SEQUENCE)} > t.{quote(SEQUENCE)}"
    within = f"\n    AND {keys.within('t')}" if keys else ""
    return Statement(
        f"""MERGE INTO {table} AS t
USING ({states}) AS s
ON {sql.same_key(target, "t", "s")}{within}
WHEN MATCHED AND {is_newer} AND s.{sql.IS_DELETE} THEN DELETE
WHEN MATCHED AND {is_newer} THEN UPDATE SET {sql.assignments([*own, *changing])}
WHEN NOT MATCHED AND NOT s.{sql.IS_DELETE} THEN {sql.insertion([*own, *derived.items()])}""",
        keys.values if keys else (),
    )


def fill(target: Target, table: str, states: str) -> Statement:
    """Insert into a table that was emptied."""
    derived = sql.derived()
    own = (*target.schema.names, *sql.STATE_METADATA)
    return Statement(
        f"""INSERT INTO {table} ({columns([*own, *derived])})
SELECT {columns(own)}, {", ".join(derived.values())}
FROM ({states})"""
    )
