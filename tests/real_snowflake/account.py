"""The account that the tests of this folder run on, as the environment names it, with databases made and dropped.

Without one they are skipped, saying what to set. ``SNOWFLAKE_TESTS_ON=emulator`` runs them on the emulator instead, to
try the tests themselves: it proves nothing about the service.
"""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import attrs
import pytest

from adapters.warehouses.snowflake.options import SnowflakeOptions, parse
from adapters.warehouses.snowflake.session import Session, open_session
from adapters.warehouses.snowflake.statement import Statement, quote

ON_EMULATOR = os.environ.get("SNOWFLAKE_TESTS_ON") == "emulator"

#: Which option of a warehouse each variable is. The first four have to be set, and one way to sign in.
VARIABLES = {
    "SNOWFLAKE_ACCOUNT": "account",
    "SNOWFLAKE_USERNAME": "user",
    "SNOWFLAKE_WAREHOUSE": "warehouse",
    "SNOWFLAKE_ROLE": "role",
    "SNOWFLAKE_PASSWORD": "password",
    "SNOWFLAKE_PRIVATE_KEY_PATH": "private_key_file",
    "SNOWFLAKE_PRIVATE_KEY_PASSPHRASE": "private_key_passphrase",
    "SNOWFLAKE_AUTHENTICATOR": "authenticator",
    "SNOWFLAKE_TOKEN": "token",
}
NEEDED = tuple(VARIABLES)[:4]


def differs_on_emulator(reason: str) -> pytest.MarkDecorator:
    """Marks a test of what the emulator is known to do otherwise."""
    return pytest.mark.xfail(ON_EMULATOR, reason=f"emulator: {reason}", strict=False)


def why_not(environment: Mapping[str, str]) -> str | None:
    """Why there is no account to test on; None if there is one."""
    unset = [name for name in NEEDED if not environment.get(name)]
    if unset:
        return (
            f"no Snowflake account: set {', '.join(unset)} and a way to sign in (SNOWFLAKE_PRIVATE_KEY_PATH, "
            "SNOWFLAKE_TOKEN with SNOWFLAKE_AUTHENTICATOR, or SNOWFLAKE_PASSWORD), for a role that may create databases"
        )
    return None


@attrs.define
class Account:
    """Databases of an account, each fresh; ``timings`` are seconds by what took them."""

    given: Mapping[str, object]
    made: list[str] = attrs.field(factory=list)
    timings: dict[str, list[float]] = attrs.field(factory=dict)

    def database(self) -> str:
        """A new database, without Fail-safe."""
        name = f"RDP_TEST_{uuid.uuid4().hex[:12].upper()}"
        with self.session(name) as session:
            kind = "DATABASE" if ON_EMULATOR else "TRANSIENT DATABASE"
            session.execute(Statement(f"CREATE {kind} IF NOT EXISTS {quote(name)}"))
            session.execute(Statement(f"CREATE SCHEMA IF NOT EXISTS {quote(name)}.{quote('PUBLIC')}"))
        self.made.append(name)
        return name

    def warehouse_options(self, database: str, **changed: object) -> dict[str, object]:
        """The options of a warehouse in a database, as a pipeline file would have them."""
        return {**self.given, "database": database, **changed}

    def options(self, database: str, **changed: object) -> SnowflakeOptions:
        """The same, checked."""
        return parse("warehouse", self.warehouse_options(database, **changed))

    @contextmanager
    def session(self, database: str, **changed: object) -> Iterator[Session]:
        """A session in a database."""
        with self.timed("signing in"):
            session = open_session(self.options(database, **changed), command="tests")
        try:
            yield session
        finally:
            session.close()

    @contextmanager
    def timed(self, what: str) -> Iterator[None]:
        """Note how long the block takes."""
        started = time.monotonic()
        yield
        self.timings.setdefault(what, []).append(time.monotonic() - started)

    def took(self, what: str, work: Callable[[], object]) -> None:
        """Do ``work``, noting how long it takes."""
        with self.timed(what):
            work()

    def drop_all(self) -> None:
        """Drop every database that was made."""
        if self.made:
            with self.session(self.made[0]) as session:
                for name in self.made:
                    session.execute(Statement(f"DROP DATABASE IF EXISTS {quote(name)}"))
