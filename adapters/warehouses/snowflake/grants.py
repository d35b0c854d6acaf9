"""The least that a role needs in an account: what of it is missing, and the SQL that makes and grants it.

Nothing is run here; what a role holds is read by ``inspection``.
"""

from __future__ import annotations

import re
from collections.abc import Collection

import attrs

#: The schemas that the pipeline keeps its tables in, and what it creates in each beside tables.
_BESIDE_TABLES: dict[str, tuple[str, ...]] = {
    "STAGING": ("CREATE VIEW",),
    "CHANGELOG": (),
    "QUARANTINE": (),
    "PIPELINE": ("CREATE STAGE", "CREATE FILE FORMAT"),
}
SCHEMAS = tuple(_BESIDE_TABLES)

_IDENTIFIER = re.compile(r'[A-Za-z_][A-Za-z0-9_$]*|"(?:[^"]|"")+"')


@attrs.frozen
class Privilege:
    """A privilege on an object: ``kind`` is WAREHOUSE, DATABASE or SCHEMA; ``name`` as the object is stored, a schema's
    with its database (``RAW.STAGING``).
    """

    privilege: str
    kind: str
    name: str


@attrs.frozen
class Place:
    """Where a pipeline works, names as they are stored. ``schemas`` are those of ``SCHEMAS`` that exist already."""

    role: str
    user: str
    warehouse: str
    database: str
    schemas: Collection[str] = ()

    @property
    def needed(self) -> tuple[Privilege, ...]:
        """Every privilege that loading needs here."""
        on_database = ["USAGE", *(["CREATE SCHEMA"] if set(SCHEMAS) - set(self.schemas) else [])]
        return (
            *([Privilege("USAGE", "WAREHOUSE", self.warehouse)] if self.warehouse else []),
            *(Privilege(privilege, "DATABASE", self.database) for privilege in on_database),
            *(
                Privilege(privilege, "SCHEMA", f"{self.database}.{schema}")
                for schema, beside_tables in _BESIDE_TABLES.items()
                if schema in self.schemas
                for privilege in ("USAGE", "CREATE TABLE", *beside_tables)
            ),
        )


def missing(place: Place, held: Collection[Privilege]) -> tuple[Privilege, ...]:
    """What of the needed privileges is not held; who owns an object holds all of them on it."""
    holds = set(held)
    return tuple(
        need for need in place.needed if need not in holds and attrs.evolve(need, privilege="OWNERSHIP") not in holds
    )


def grant(need: Privilege, role: str) -> str:
    """The statement that grants one privilege."""
    return f"GRANT {need.privilege} ON {need.kind} {_object(need)} TO ROLE {verbatim(role)};"


def script(place: Place) -> str:
    """The SQL that makes a role with the least privileges, and its warehouse and database where they are missing.

    It is for someone who may create roles and grant them (SECURITYADMIN and SYSADMIN, or ACCOUNTADMIN).
    """
    role, warehouse = verbatim(place.role), verbatim(place.warehouse)
    lines = [
        f"CREATE ROLE IF NOT EXISTS {role};",
        f"CREATE WAREHOUSE IF NOT EXISTS {warehouse} WAREHOUSE_SIZE = XSMALL AUTO_SUSPEND = 60 AUTO_RESUME = TRUE "
        "INITIALLY_SUSPENDED = TRUE;",
        f"CREATE DATABASE IF NOT EXISTS {verbatim(place.database)};",
        *(grant(need, place.role) for need in place.needed),
        f"GRANT ROLE {role} TO USER {verbatim(place.user)};",
        f"ALTER USER {verbatim(place.user)} SET DEFAULT_ROLE = {role} DEFAULT_WAREHOUSE = {warehouse};",
    ]
    return "\n".join(lines)


def take_over(schema: str, place: Place) -> str:
    """The statement that gives the role the tables of a schema, which it has to own to alter and comment on them."""
    name = f"{verbatim(place.database)}.{verbatim(schema)}"
    return f"GRANT OWNERSHIP ON ALL TABLES IN SCHEMA {name} TO ROLE {verbatim(place.role)} COPY CURRENT GRANTS;"


def as_stored(identifier: str) -> str:
    """The name of an object as it is stored, for one that people wrote: quoted ones as they are, others upper case."""
    if not _IDENTIFIER.fullmatch(identifier):
        return identifier
    return identifier[1:-1].replace('""', '"') if identifier.startswith('"') else identifier.upper()


def verbatim(name: str) -> str:
    """The identifier of an object of the account by its stored name; ``statement.quote`` is for the pipeline's own."""
    return '"' + name.replace('"', '""') + '"'


def _object(need: Privilege) -> str:
    if need.kind != "SCHEMA":
        return verbatim(need.name)
    database, _, schema = need.name.rpartition(".")
    return f"{verbatim(database)}.{verbatim(schema)}"
