"""The demo's source database: an online shop with some 300,000 rows.

What happens in the shop afterwards is ``simulator``'s; where its server comes from is ``server``'s.
"""

from __future__ import annotations

from pathlib import Path

#: The tables of the shop, in the order in which people think of them.
TABLES = ("customers", "addresses", "products", "orders", "order_items", "payments")

SCHEMA = Path(__file__).with_name("schema.sql")


def create_shop(dsn: str, *, database: str = "shop") -> None:
    """Create ``database`` on the server of ``dsn`` (a role that may create databases) and fill it, the same each time.

    Raises ``psycopg.errors.DuplicateDatabase`` if it exists.
    """
    import psycopg
    from psycopg import conninfo, sql

    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(database)))
    with psycopg.connect(conninfo.make_conninfo(dsn, dbname=database)) as connection:
        connection.execute("SET LOCAL synchronous_commit = off")
        connection.execute(SCHEMA.read_bytes())


def count_rows(dsn: str) -> dict[str, int]:
    """The exact rows of each table."""
    import psycopg
    from psycopg import sql

    with psycopg.connect(dsn) as connection:
        return {
            table: _count(
                connection.execute(sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(table))).fetchone()
            )
            for table in TABLES
        }


def _count(row: tuple[int] | None) -> int:
    return int(row[0]) if row else 0
