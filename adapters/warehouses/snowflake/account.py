"""What an account shows of the place where a pipeline works, asked without changing anything or waking a warehouse.

Everything here is ``SHOW``, ``LIST`` and functions of the session, which the service answers by itself. What is made of
it is ``inspection``'s.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import attrs

from adapters.warehouses.snowflake import grants
from adapters.warehouses.snowflake.grants import SCHEMAS, Place, Privilege
from adapters.warehouses.snowflake.options import SnowflakeOptions
from adapters.warehouses.snowflake.session import Session
from adapters.warehouses.snowflake.statement import Statement, literal
from adapters.warehouses.snowflake.uploading import LEFTOVER_AGE
from pipeline.domain.errors import WarehouseRejected

_ROLES_AT_MOST = 50

_WHO = Statement(
    "SELECT CURRENT_USER() AS ME, CURRENT_ROLE() AS ROLE, CURRENT_WAREHOUSE() AS WAREHOUSE, "
    "CURRENT_VERSION() AS VERSION, SYSDATE() AS NOW"
)


@attrs.frozen
class Leftover:
    """Files in a stage that are so old that their process must have died: ``stage`` is its identifier."""

    stage: str
    file_count: int
    byte_count: int


@attrs.frozen
class Account:
    """What was seen: ``warehouse`` is the row of ``SHOW WAREHOUSES`` (None: not to be seen), ``held`` what the role may
    do (None: it may not look), ``owners`` other roles that own tables, by schema, ``clock_s`` by how many seconds this
    machine's clock is off at least.
    """

    place: Place
    version: str
    clock_s: float
    warehouse: Mapping[str, Any] | None
    has_database: bool
    held: frozenset[Privilege] | None
    owners: Mapping[str, tuple[str, ...]]
    leftovers: tuple[Leftover, ...]


def look(session: Session, options: SnowflakeOptions) -> Account:
    """Ask for all of it."""
    started_at = datetime.now(UTC)
    (who,) = session.named_rows(_WHO)
    ended_at = datetime.now(UTC)
    database = grants.as_stored(options.database)
    warehouse = grants.as_stored(options.warehouse or str(who["WAREHOUSE"] or ""))
    has_database = _named(session, f"SHOW DATABASES LIKE {literal(database)}", database) is not None
    schemas = _schemas(session, database) if has_database else frozenset()
    place = Place(str(who["ROLE"] or ""), str(who["ME"]), warehouse, database, schemas)
    return Account(
        place=place,
        version=str(who["VERSION"]),
        clock_s=_off_s(who["NOW"], started_at, ended_at),
        warehouse=_named(session, f"SHOW WAREHOUSES LIKE {literal(warehouse)}", warehouse) if warehouse else None,
        has_database=has_database,
        held=_held(session, place.role),
        owners={
            schema: owners for schema in SCHEMAS if schema in schemas and (owners := _owners(session, place, schema))
        },
        leftovers=tuple(_leftovers(session, place, now=ended_at)) if has_database else (),
    )


def _named(session: Session, statement: str, name: str) -> dict[str, Any] | None:
    """The row of exactly this name: a pattern ignores case, and its ``_`` stands for any letter."""
    rows = session.named_rows(Statement(statement))
    return next((row for row in rows if row["name"] == name), None)


def _schemas(session: Session, database: str) -> frozenset[str]:
    rows = session.named_rows(Statement(f"SHOW SCHEMAS IN DATABASE {grants.verbatim(database)}"))
    return frozenset(str(row["name"]) for row in rows) & frozenset(SCHEMAS)


def _off_s(now: datetime, started_at: datetime, ended_at: datetime) -> float:
    at = now.replace(tzinfo=now.tzinfo or UTC)
    return max(0.0, (started_at - at).total_seconds(), (at - ended_at).total_seconds())


def _held(session: Session, role: str) -> frozenset[Privilege] | None:
    """The privileges of a role, those of the roles granted to it, and those of everybody."""
    waiting = [f"ROLE {grants.verbatim(name)}" for name in (role, "PUBLIC") if name]
    held: set[Privilege] = set()
    seen: set[str] = set()
    while waiting and len(seen) < _ROLES_AT_MOST:
        grantee = waiting.pop()
        if grantee in seen:
            continue
        seen.add(grantee)
        try:
            rows = session.named_rows(Statement(f"SHOW GRANTS TO {grantee}"))
        except WarehouseRejected:
            return None
        for row in rows:
            kind, name = str(row["granted_on"]), str(row["name"])
            held.add(Privilege(str(row["privilege"]), kind, name.replace('"', "")))
            if kind in {"ROLE", "DATABASE_ROLE"} and row["privilege"] == "USAGE":
                waiting.append(f"{kind.replace('_', ' ')} {name}")
    return frozenset(held)


def _owners(session: Session, place: Place, schema: str) -> tuple[str, ...]:
    name = f"{grants.verbatim(place.database)}.{grants.verbatim(schema)}"
    rows = session.named_rows(Statement(f"SHOW TABLES IN SCHEMA {name}"))
    return tuple(sorted({str(row["owner"]) for row in rows} - {place.role, ""}))


def _leftovers(session: Session, place: Place, *, now: datetime) -> Iterator[Leftover]:
    database = grants.verbatim(place.database)
    for row in session.named_rows(Statement(f"SHOW STAGES IN DATABASE {database}")):
        if row["schema_name"] in place.schemas:
            stage = f"@{database}.{grants.verbatim(str(row['schema_name']))}.{grants.verbatim(str(row['name']))}"
            files = session.named_rows(Statement(f"LIST {stage}"))
            old = [file for file in files if now - parsedate_to_datetime(str(file["last_modified"])) > LEFTOVER_AGE]
            if old:
                yield Leftover(stage, len(old), sum(int(file["size"]) for file in old))
