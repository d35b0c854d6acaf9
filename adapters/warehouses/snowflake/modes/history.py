"""History mode: one row per version of a key, its interval from one sequence to the next.

Everything happens in one MERGE: the versions that the states may touch are put in one chain with the states, and the
chain says which versions to insert, to close, to open again and to take back. A later piece of the same commit takes
back what an earlier one did to a key, so that each commit makes one version at most. No temporary table is needed,
which would be DDL.
"""

from __future__ import annotations

from adapters.warehouses.changerows import Stamp
from adapters.warehouses.snowflake import sql
from adapters.warehouses.snowflake.statement import Statement, columns, quote
from adapters.warehouses.snowflake.types import BOUND_INSTANT, is_document
from pipeline.domain.change import COMMIT_AT, OP, SEQUENCE
from pipeline.domain.loading import Target, Truncation
from pipeline.domain.schema import Column
from pipeline.domain.tables import (
    CURRENT,
    DELETED,
    LOAD,
    VALID_FROM,
    VALID_FROM_AT,
    VALID_TO,
    VALID_TO_AT,
)

_ORDINALS = 1 << 44

_SEQ, _FROM, _TO, _FROM_AT, _TO_AT, _CURRENT = map(
    quote, (SEQUENCE, VALID_FROM, VALID_TO, VALID_FROM_AT, VALID_TO_AT, CURRENT)
)

#: A sequence without its 44 bits of ordinal: the lowest that the same commit can have.
_FLOOR = f"MIN({_SEQ}) - MOD(MIN({_SEQ}), {_ORDINALS})"

#: How a MERGE closes versions, where ``s`` gives the sequence and the time at which they end.
_CLOSE = f"""WHEN MATCHED THEN UPDATE SET {_TO} = s."_CDC_NEXT", {_TO_AT} = GREATEST(s."_CDC_AT", t.{_FROM_AT}),
    {_CURRENT} = FALSE"""


def truncate(target: Target, table: str, truncation: Truncation) -> Statement:
    """Close the current versions; those that the same commit made are taken back, and the ones before closed."""
    floor, at = truncation.sequence // _ORDINALS * _ORDINALS, sql.instant(truncation.commit_at)
    keys = columns(target.schema.key)
    made = f"{_CURRENT} AND {_FROM} >= ? AND {_FROM} < ?"
    return Statement(
        f"""MERGE INTO {table} AS t
USING (
    WITH made AS (
        SELECT {keys} FROM {table} WHERE {made}
    )
    SELECT {columns(target.schema.key, "v")}, v.{_FROM}, v.{_CURRENT} AND v.{_FROM} >= ? AS "_CDC_IS_TAKEN_BACK",
        ? AS "_CDC_NEXT", {BOUND_INSTANT} AS "_CDC_AT"
    FROM {table} AS v LEFT JOIN made AS m ON {sql.same_key(target, "v", "m")}
    WHERE v.{_FROM} < ? AND (v.{_CURRENT} OR (m.{quote(target.schema.key[0])} IS NOT NULL AND v.{_TO} >= ?))
) AS s
ON {sql.same_key(target, "t", "s")} AND t.{_FROM} = s.{_FROM}
WHEN MATCHED AND s."_CDC_IS_TAKEN_BACK" THEN DELETE
{_CLOSE}""",
        [floor, truncation.sequence, floor, truncation.sequence, at, truncation.sequence, floor],
    )


def upsert(target: Target, table: str, states: str) -> Statement:
    """Put states and the versions they touch in one chain per key."""
    own = [(name, f"s.{quote(name)}") for name in (*target.schema.names, *sql.STATE_METADATA)]
    closing = [(VALID_TO, 's."_CDC_NEXT"'), (VALID_TO_AT, 's."_CDC_NEXT_AT"'), (CURRENT, 's."_CDC_NEXT" IS NULL')]
    opening = [(DELETED, "FALSE"), (VALID_FROM, f"s.{_SEQ}"), (VALID_FROM_AT, 's."_CDC_REACHED_AT"')]
    return Statement(
        f"""MERGE INTO {table} AS t
USING (
{_chain(target, table, states)}
) AS s
ON {sql.same_key(target, "t", "s")} AND t.{_FROM} = s.{_SEQ}
WHEN MATCHED AND s."_CDC_IS_TAKEN_BACK" THEN DELETE
WHEN MATCHED THEN UPDATE SET {sql.assignments(closing)}
WHEN NOT MATCHED THEN {sql.insertion([*own, *opening, *closing])}"""
    )


def close_unheld(target: Target, table: str, stamp: Stamp) -> Statement:
    """Close the current versions of keys that the copy of this load did not hold: of which its changelog has no row."""
    keys, changelog = columns(target.schema.key), sql.changelog(target)
    return Statement(
        f"""MERGE INTO {table} AS t
USING (
    SELECT {columns(target.schema.key, "v")}, v.{_FROM},
        (SELECT COALESCE(MAX({_SEQ}), 0) + 1 FROM {changelog} WHERE {quote(LOAD)} <= ?) AS "_CDC_NEXT",
        {BOUND_INSTANT} AS "_CDC_AT"
    FROM {table} AS v
    LEFT JOIN (SELECT DISTINCT {keys} FROM {changelog} WHERE {quote(LOAD)} = ?) AS h
        ON {sql.same_key(target, "v", "h")}
    WHERE v.{_CURRENT} AND h.{quote(target.schema.key[0])} IS NULL
) AS s
ON {sql.same_key(target, "t", "s")} AND t.{_FROM} = s.{_FROM}
{_CLOSE}""",
        [stamp.load, sql.instant(stamp.at), stamp.load],
    )


def _chain(target: Target, table: str, states: str) -> str:
    """``known`` are all versions of the keys at hand; ``fresh`` the states that are newer than all of their key (P4);
    ``touched`` the versions that the commits at hand may change; ``events`` those that stood before these commits, and
    the states; ``kept`` the events that change something.
    """
    keys, own = columns(target.schema.key), columns([*target.schema.names, *sql.STATE_METADATA])
    key = quote(target.schema.key[0])

    def same(left: str, right: str) -> str:
        return sql.same_key(target, left, right)

    order = f"OVER (PARTITION BY {keys} ORDER BY {_SEQ})"
    return f"""WITH states AS (
{states}
), known AS (
    SELECT v.* FROM {table} AS v JOIN (SELECT DISTINCT {keys} FROM states) AS k ON {same("v", "k")}
), newest AS (
    SELECT {keys}, MAX(GREATEST({_SEQ}, COALESCE({_TO}, {_SEQ}))) AS "_CDC_NEWEST" FROM known GROUP BY {keys}
), fresh AS (
    SELECT s.* FROM states AS s LEFT JOIN newest AS n ON {same("s", "n")}
    WHERE n.{key} IS NULL OR n."_CDC_NEWEST" < s.{_SEQ}
), floors AS (
    SELECT {keys}, {_FLOOR} AS "_CDC_FLOOR" FROM fresh GROUP BY {keys}
), touched AS (
    SELECT v.*, f."_CDC_FLOOR" FROM known AS v JOIN floors AS f ON {same("v", "f")}
    WHERE v.{_TO} IS NULL OR v.{_TO} >= f."_CDC_FLOOR"
), earlier AS (
    SELECT {columns(target.schema.key, "v")}, MAX(v.{_TO_AT}) AS "_CDC_ENDED_AT"
    FROM known AS v JOIN floors AS f ON {same("v", "f")}
    WHERE v.{_TO} < f."_CDC_FLOOR"
    GROUP BY {columns(target.schema.key, "v")}
), events AS (
    SELECT {own}, {_FROM_AT} AS "_CDC_AT", FALSE AS "_CDC_IS_DELETE"
    FROM touched WHERE {_FROM} < "_CDC_FLOOR"
    UNION ALL
    SELECT {own}, {quote(COMMIT_AT)}, {quote(OP)} = 'delete'
    FROM fresh
), compared AS (
    SELECT *, LAG("_CDC_IS_DELETE", 1, TRUE) {order} AS "_CDC_IS_GONE",
        {_differs(target, order)} AS "_CDC_IS_OTHER"
    FROM events
), kept AS (
    SELECT * FROM compared
    WHERE IFF("_CDC_IS_DELETE", NOT "_CDC_IS_GONE", "_CDC_IS_GONE" OR "_CDC_IS_OTHER")
), reached AS (
    SELECT k.*, MAX(GREATEST(k."_CDC_AT", COALESCE(e."_CDC_ENDED_AT", k."_CDC_AT"))) OVER (
        PARTITION BY {columns(target.schema.key, "k")} ORDER BY k.{_SEQ}
        ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
    ) AS "_CDC_REACHED_AT"
    FROM kept AS k LEFT JOIN earlier AS e ON {same("k", "e")}
), versions AS (
    SELECT *, LEAD({_SEQ}) {order} AS "_CDC_NEXT", LEAD("_CDC_REACHED_AT") {order} AS "_CDC_NEXT_AT"
    FROM reached
)
SELECT {own}, "_CDC_REACHED_AT", "_CDC_NEXT", "_CDC_NEXT_AT", FALSE AS "_CDC_IS_TAKEN_BACK"
FROM versions WHERE NOT "_CDC_IS_DELETE"
UNION ALL
SELECT {own}, NULL, NULL, NULL, TRUE
FROM touched WHERE {_FROM} >= "_CDC_FLOOR\""""


def _differs(target: Target, order: str) -> str:
    """Whether a row has another value than the one before it, null-safe; documents are compared by their texts."""
    parts = [
        f"{text} IS DISTINCT FROM LAG({text}) {order}"
        for text in (_comparable(column) for column in target.schema.columns if column.name not in target.schema.key)
    ]
    return "\n        OR ".join(parts) or "FALSE"


def _comparable(column: Column) -> str:
    name = quote(column.name)
    return f"TO_JSON({name})" if is_document(column.type, json=column.json) else name
