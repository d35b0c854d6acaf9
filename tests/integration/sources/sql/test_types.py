"""What values become on their way, by TYPES.md, and what becomes of those that are none of their column's type."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

from tests.support.sql_world import SqlWorld


def one_row(world: SqlWorld) -> dict[str, object]:
    """The only staged row, by column."""
    table = world.warehouse.current(world.target())
    [row] = table.select([name for name in table.column_names if not name.startswith("_cdc_")]).to_pylist()
    found: dict[str, object] = row
    return found


def test_sqlite_types(sqlite_world: SqlWorld) -> None:
    sqlite_world.origin.sql(
        """CREATE TABLE orders (id INTEGER PRIMARY KEY, n BIGINT, r REAL, d DECIMAL(20,4), u NUMERIC, t VARCHAR(9),
           b BLOB,
           f BOOLEAN, j JSON, day DATE, clock TIME, at DATETIME, zoned TIMESTAMP WITH TIME ZONE, x,
           "odd ""name" TEXT)""",
        """INSERT INTO orders VALUES (1, 9223372036854775807, 0.1, '1234567890.1234', 0.5, 'é''x', x'00ff', 1,
           '{"a": [1, 2]}', '2026-02-28', '23:59:59.5', '2026-01-01T10:00:00.123456', '2026-01-01 10:00:00+02:00', 7,
           'q')""",
    )
    sqlite_world.run()

    assert one_row(sqlite_world) == {
        "id": 1,
        "n": 9223372036854775807,
        "r": 0.1,
        "d": Decimal("1234567890.1234"),
        "u": Decimal("0.500000000"),
        "t": "é'x",
        "b": b"\x00\xff",
        "f": True,
        "j": '{"a": [1, 2]}',
        "day": dt.date(2026, 2, 28),
        "clock": dt.time(23, 59, 59, 500_000),
        "at": dt.datetime(2026, 1, 1, 10, 0, 0, 123_456),
        "zoned": dt.datetime(2026, 1, 1, 8, tzinfo=dt.UTC),
        "x": "7",
        'odd "name': "q",
    }
    assert sqlite_world.loaded(sqlite_world.run()) == 0
    assert sqlite_world.verify().is_equal


def test_sqlite_values_that_are_not_of_their_columns_type_set_their_rows_apart(sqlite_world: SqlWorld) -> None:
    """E9, P7, P8: nothing is silently null, and no row stops another."""
    sqlite_world.origin.sql(
        """CREATE TABLE orders (id INTEGER PRIMARY KEY, n INT, r REAL, d DECIMAL(6,2), f BOOLEAN, j JSON, at TIMESTAMP,
           t TEXT, b BLOB)""",
        "INSERT INTO orders (id, n) VALUES (1, 1), (2, NULL)",
        "INSERT INTO orders (id, n) VALUES (3, 'a text'), (4, 1.5)",
        "INSERT INTO orders (id, r) VALUES (5, 'x')",
        "INSERT INTO orders (id, d) VALUES (6, 1.234), (7, 'y'), (8, 12345.6)",
        "INSERT INTO orders (id, f) VALUES (9, 2)",
        "INSERT INTO orders (id, j) VALUES (10, '{')",
        "INSERT INTO orders (id, at) VALUES (11, 'yesterday'), (12, 1735689600)",
        "INSERT INTO orders (id, t) VALUES (13, x'ff')",
        "INSERT INTO orders (id, b) VALUES (14, 5)",
    )
    sqlite_world.run()

    assert sqlite_world.staged("id") == [(1,), (2,)]
    assert len(sqlite_world.quarantined()) == 12
    assert sqlite_world.loaded(sqlite_world.run()) == 0

    sqlite_world.origin.sql("UPDATE orders SET n = NULL WHERE id = 3")

    sqlite_world.run()
    assert sqlite_world.staged("id") == [(1,), (2,), (3,)]


def test_a_sqlite_column_of_nulls_that_holds_a_text_far_behind_is_read(sqlite_world: SqlWorld) -> None:
    sqlite_world.origin.sql(
        "CREATE TABLE orders (id INTEGER PRIMARY KEY, t TEXT)",
        "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 70000) "
        "INSERT INTO orders SELECT n, CASE WHEN n = 70000 THEN 'last' END FROM c",
    )
    sqlite_world.run()

    assert sqlite_world.staged("id", "t")[-1] == (9999, None)
    assert (70_000, "last") in sqlite_world.staged("id", "t")


def test_postgres_types(postgres_world: SqlWorld) -> None:
    postgres_world.origin.sql(
        "CREATE TYPE mood AS ENUM ('sad', 'glad')",
        """CREATE TABLE orders (id bigint PRIMARY KEY, n numeric(20,4), m mood, u uuid, tags text[], j jsonb,
           at timestamptz, span interval, made text GENERATED ALWAYS AS ('made') STORED)""",
        """INSERT INTO orders VALUES (1, 1234567890.1234, 'glad', '00000000-0000-0000-0000-000000000001',
           '{a,"b c"}',
           '{"a": 1}', '2026-01-01 10:00:00+02', '1 day')""",
    )
    postgres_world.run()

    assert one_row(postgres_world) == {
        "id": 1,
        "n": Decimal("1234567890.1234"),
        "m": "glad",
        "u": "00000000-0000-0000-0000-000000000001",
        "tags": '["a","b c"]',
        "j": '{"a": 1}',
        "at": dt.datetime(2026, 1, 1, 8, tzinfo=dt.UTC),
        "span": "P1D",
        "made": "made",
    }
    assert postgres_world.verify().is_equal


def test_a_postgres_time_of_infinity_sets_its_row_apart_and_hides_no_other(postgres_world: SqlWorld) -> None:
    """E2."""
    postgres_world.read = {"cursor": "at"}
    postgres_world.origin.sql(
        "CREATE TABLE orders (id int PRIMARY KEY, at timestamptz)",
        "INSERT INTO orders VALUES (1, '2026-01-01'), (2, 'infinity')",
    )
    postgres_world.run()
    postgres_world.origin.sql("INSERT INTO orders VALUES (3, '2026-01-01')")

    assert postgres_world.loaded(postgres_world.run()) == 1
    assert postgres_world.staged("id") == [(1,), (3,)]
    assert len(postgres_world.quarantined()) == 1
    assert postgres_world.loaded(postgres_world.run()) == 0
