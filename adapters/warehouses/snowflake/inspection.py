"""What ``doctor`` can say about an account without changing anything and without waking a warehouse.

What is asked is told in ``account``, what a role needs in ``grants``.
"""

from __future__ import annotations

from collections.abc import Iterator

import attrs

from adapters.warehouses.snowflake import grants
from adapters.warehouses.snowflake.account import Account, look
from adapters.warehouses.snowflake.grants import SCHEMAS
from adapters.warehouses.snowflake.options import SnowflakeOptions
from adapters.warehouses.snowflake.session import open_session
from pipeline.domain.errors import PipelineError
from pipeline.domain.finding import Finding, Level

#: Somebody is waiting for the answer: not as long as a load would go on trying.
PATIENCE_S = 5.0
#: A key pair's token is good for a minute, so a clock that is off by half of that is a warning.
CLOCK_S = 30.0
#: Longer idle times are billed without work; the least that is billed for each resume is a minute anyway.
SUSPEND_S = 60

_ALMIGHTY = {"ACCOUNTADMIN", "SECURITYADMIN", "SYSADMIN", "ORGADMIN", "GLOBALORGADMIN"}
_LOOPBACK = {"127.0.0.1", "::1", "localhost"}
#: Names to propose where there are none.
_ROLE, _WAREHOUSE = "LOADER", "LOADING"


def inspect(options: SnowflakeOptions) -> tuple[Finding, ...]:
    """Findings about signing in, role, warehouse, database, privileges, leftover files and clock."""
    found = list(_connection(options))
    try:
        session = open_session(attrs.evolve(options, retry_s=min(PATIENCE_S, options.retry_s)), command="doctor")
    except PipelineError as error:
        return (*found, Finding.of(error, "snowflake_signin"))
    try:
        found += _findings(look(session, options), options.place)
    except PipelineError as error:
        found.append(Finding.of(error, "snowflake"))
    finally:
        session.close()
    return tuple(found)


def _connection(options: SnowflakeOptions) -> Iterator[Finding]:
    """What the options alone tell."""
    if options.connect.get("protocol") == "http" and options.connect.get("host") not in _LOOPBACK:
        hint = "Take protocol: http out."
        yield Finding(Level.WARNING, "snowflake_tls", "the connection is not encrypted", where=options.place, hint=hint)
    if options.connect.get("authenticator") == "snowflake":
        yield Finding(
            Level.WARNING,
            "snowflake_password",
            "a password signs in, which the service allows to people with a second factor only",
            where=options.place,
            hint="Give the pipeline a user of TYPE = SERVICE with a key pair: private_key_file.",
        )


def _findings(account: Account, where: str) -> Iterator[Finding]:
    signed_in = f"signed in as {account.place.user}, Snowflake {account.version}"
    yield Finding(Level.OK, "snowflake_signin", signed_in, where=where)
    if account.clock_s > CLOCK_S:
        yield Finding(
            Level.WARNING,
            "snowflake_clock",
            f"this machine's clock and the account's differ by {account.clock_s:.0f} s",
            where=where,
            hint="Let the machine take its time from NTP: tokens of key pairs are good for a minute.",
        )
    yield from _role(account, where)
    yield from _warehouse(account, where)
    yield from _database(account)
    yield from _privileges(account, where)
    yield from _owners(account)
    yield from _leftovers(account)


def _script(account: Account) -> str:
    """The least-privilege SQL, with proposed names where there are none or one that may do too much."""
    place = account.place
    role = _ROLE if place.role in _ALMIGHTY or not place.role else place.role
    return grants.script(attrs.evolve(place, role=role, warehouse=place.warehouse or _WAREHOUSE))


def _role(account: Account, where: str) -> Iterator[Finding]:
    role = account.place.role
    if not role:
        hint = "Name a role, or ALTER USER <user> SET DEFAULT_ROLE = <role>."
        yield Finding(Level.ERROR, "snowflake_role", "the session has no role", where=where, hint=hint)
    elif role in _ALMIGHTY:
        what = f"the role is {role}, which may do far more than loading needs"
        hint = f"Make a role of its own:\n{_script(account)}"
        yield Finding(Level.WARNING, "snowflake_role", what, where=where, hint=hint)
    else:
        yield Finding(Level.OK, "snowflake_role", f"the role is {role}", where=where)


def _warehouse(account: Account, where: str) -> Iterator[Finding]:
    name, row = account.place.warehouse, account.warehouse
    if row is None:
        what = "the warehouse does not exist, or the role may not use it" if name else "no warehouse is named"
        place = f"warehouse {name}" if name else where
        hint = "Name one that the role may use."
        yield Finding(Level.ERROR, "snowflake_warehouse", what, where=place, hint=hint)
        return
    where = f"warehouse {name}"
    state, suspend_s, resumes = str(row["state"]).lower(), int(row["auto_suspend"] or 0), _is_true(row["auto_resume"])
    resuming = "resumes by itself" if resumes else "does not resume by itself"
    suspending = f"suspends after {suspend_s} s" if suspend_s else "never suspends"
    what = f"{row['size']}, {state}, {resuming}, {suspending}"
    yield Finding(Level.OK, "snowflake_warehouse", what, where=where)
    alter = f"ALTER WAREHOUSE {grants.verbatim(name)} SET"
    if not resumes:
        level = Level.WARNING if state == "started" else Level.ERROR
        hint = f"{alter} AUTO_RESUME = TRUE;"
        yield Finding(level, "snowflake_auto_resume", "somebody has to resume it by hand", where=where, hint=hint)
    if not suspend_s or suspend_s > SUSPEND_S:
        level = Level.INFO if suspend_s else Level.WARNING
        what = f"after its last statement {suspend_s} s are billed" if suspend_s else "it is billed day and night"
        hint = f"{alter} AUTO_SUSPEND = {SUSPEND_S};"
        yield Finding(level, "snowflake_auto_suspend", what, where=where, hint=hint)


def _database(account: Account) -> Iterator[Finding]:
    where = f"database {account.place.database}"
    if not account.has_database:
        what = "the database does not exist, or the role may not see it"
        hint = f"CREATE DATABASE {grants.verbatim(account.place.database)}; and grant USAGE and CREATE SCHEMA on it."
        yield Finding(Level.ERROR, "snowflake_database", what, where=where, hint=hint)
        return
    absent = [schema for schema in SCHEMAS if schema not in account.place.schemas]
    what = f"the schemas {', '.join(absent)} will be created" if absent else "all schemas are there"
    yield Finding(Level.INFO if absent else Level.OK, "snowflake_database", what, where=where)


def _privileges(account: Account, where: str) -> Iterator[Finding]:
    place = account.place
    if account.held is None:
        what = "the role may not see all grants, so they were not checked"
        hint = f"Compare them with:\n{_script(account)}"
        yield Finding(Level.INFO, "snowflake_grants", what, where=where, hint=hint)
        return
    needs = grants.missing(place, account.held)
    if not needs:
        what = f"{place.role} may do all that loading needs"
        yield Finding(Level.OK, "snowflake_grants", what, where=where)
        return
    for need in needs:
        what, hint = f"{place.role} lacks {need.privilege}", grants.grant(need, place.role)
        at = f"{need.kind.lower()} {need.name}"
        yield Finding(Level.ERROR, "snowflake_grants", what, where=at, hint=hint)
    hint = f"As somebody who may grant:\n{_script(account)}"
    yield Finding(Level.INFO, "snowflake_grants", "the least that a role needs", where=where, hint=hint)


def _owners(account: Account) -> Iterator[Finding]:
    place = account.place
    for schema, owners in account.owners.items():
        what = f"tables belong to {', '.join(owners)}: {place.role} cannot alter them unless it has that role"
        where, hint = f"schema {place.database}.{schema}", grants.take_over(schema, place)
        yield Finding(Level.WARNING, "snowflake_owner", what, where=where, hint=hint)


def _leftovers(account: Account) -> Iterator[Finding]:
    for left in account.leftovers:
        what = f"{left.file_count} files ({left.byte_count / 1_000_000:.1f} MB) are left from interrupted runs"
        hint = f"The next load removes them; if none comes: REMOVE {left.stage};"
        yield Finding(Level.INFO, "snowflake_stage", what, where=f"stage {left.stage}", hint=hint)


def _is_true(value: object) -> bool:
    return str(value).lower() == "true"
