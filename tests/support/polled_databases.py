"""The table of orders of ``polled_systems``, shown by databases that are looked at: a SQLite file, and PostgreSQL."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import ModuleType
from typing import Any, ClassVar

import attrs
import psycopg

import adapters.sources.sql
from tests.support.polled_systems import System
from tests.support.sql_world import PostgresOrigin, SqliteOrigin


@attrs.define(kw_only=True)
class DatabaseSystem(System):
    """A view that shows a table made anew at every publication: nothing but its rows tells what changed."""

    #: What each word of ``columns`` is called.
    types: ClassVar[Mapping[str, str]]
    #: A condition that fails at a row behind the twentieth.
    fault: ClassVar[str]
    placeholder: ClassVar[str]

    @property
    @abstractmethod
    def url(self) -> str:
        """SQLAlchemy's URL."""

    @abstractmethod
    def transaction(self) -> Any:
        """A cursor whose statements are committed at the end of the context."""

    @property
    def module(self) -> ModuleType:
        return adapters.sources.sql

    @property
    def options(self) -> dict[str, object]:
        return {"url": self.url, "poll_s": 0.05}

    @property
    def reading(self) -> dict[str, object]:
        return {}

    @property
    def read(self) -> dict[str, object]:
        return {name: value for name, value in super().read.items() if name != "columns"}

    def publish(self) -> None:
        self._publish("1 = 1")

    @contextmanager
    def breaking_off(self) -> Iterator[None]:
        self._publish(self.fault)
        yield
        self.publish()

    def _publish(self, condition: str) -> None:
        columns = ", ".join(f"{_quoted(name)} {self.types[word]}" for name, word in self.columns.items())
        places = ", ".join([self.placeholder] * len(self.columns))
        rows = [[row.get(name) for name in self.columns] for row in self.rows]
        with self.transaction() as cursor:
            cursor.execute("DROP VIEW IF EXISTS orders")
            cursor.execute("DROP TABLE IF EXISTS stored")
            cursor.execute(f"CREATE TABLE stored ({columns})")
            cursor.executemany(f"INSERT INTO stored VALUES ({places})", rows)
            cursor.execute(f"CREATE VIEW orders AS SELECT * FROM stored WHERE {condition}")


@attrs.define(kw_only=True)
class SqliteSystem(DatabaseSystem):
    """A file."""

    types: ClassVar[Mapping[str, str]] = {
        "int64": "INTEGER",
        "text": "TEXT",
        "double": "REAL",
        "bool": "BOOLEAN",
        "timestamptz": "TIMESTAMPTZ",
    }
    fault = "CASE WHEN id > 20 THEN abs(-9223372036854775807 - 1) ELSE 1 END"
    placeholder = "?"
    origin: SqliteOrigin

    @property
    def url(self) -> str:
        return self.origin.url

    @contextmanager
    def transaction(self) -> Iterator[Any]:
        connection = self.origin.connect()
        yield connection
        connection.execute("COMMIT")
        connection.close()


@attrs.define(kw_only=True)
class PostgresSystem(DatabaseSystem):
    """A database of a server, read by its columns alone, as if it had no log."""

    types: ClassVar[Mapping[str, str]] = {
        "int64": "bigint",
        "text": "text",
        "double": "double precision",
        "bool": "boolean",
        "timestamptz": "timestamptz",
    }
    fault = "CASE WHEN id > 20 THEN 1 / (id - id) ELSE 1 END = 1"
    placeholder = "%s"
    origin: PostgresOrigin

    @property
    def url(self) -> str:
        return self.origin.url

    @contextmanager
    def transaction(self) -> Iterator[Any]:
        with psycopg.connect(self.origin.dsn) as connection, connection.cursor() as cursor:
            yield cursor


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
