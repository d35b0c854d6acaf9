"""Which module reads which database.

What they have in common is ``database``'s protocol.
"""

from __future__ import annotations

from adapters.sources.sql.database import Database
from adapters.sources.sql.options import SqlOptions


def open_database(options: SqlOptions) -> Database:
    """The database behind a URL; connects on first use. Raises ``ConfigError`` for one that cannot be read at all."""
    match options.url.get_backend_name():
        case "sqlite":
            from adapters.sources.sql.sqlite import SqliteDatabase

            return SqliteDatabase(options)
        case "postgresql":
            from adapters.sources.sql.postgresql import PostgresDatabase

            return PostgresDatabase(options)
        case _:
            from adapters.sources.sql.generic import AnyDatabase

            return AnyDatabase(options)
