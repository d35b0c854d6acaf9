"""Arrow tables that pass through a connection, and that nobody holds afterwards (P11)."""

from __future__ import annotations

from collections.abc import Iterator

import duckdb
import pyarrow as pa
import pytest

from adapters.warehouses.duckdb.relay import Relay, relayed

ROWS = 100_000


@pytest.fixture
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as made:
        made.execute("CREATE TABLE sums (n BIGINT)")
        made.execute("BEGIN")
        yield made


def numbers(first: int, kind: pa.DataType | None = None) -> pa.Table:
    return pa.table({"n": pa.array(range(first, first + ROWS), kind or pa.int64())})


def sums(connection: duckdb.DuckDBPyConnection) -> list[int]:
    return [row[0] for row in connection.execute("SELECT n FROM sums ORDER BY n").fetchall()]


def test_each_statement_reads_what_was_put_last_and_nothing_is_kept(connection: duckdb.DuckDBPyConnection) -> None:
    relay, before = Relay(connection), pa.total_allocated_bytes()
    for number in range(20):
        name = relay.put("rows", numbers(number))
        connection.execute(f"CREATE OR REPLACE TEMP VIEW shown AS SELECT * FROM {name}")
        connection.execute("INSERT INTO sums SELECT min(n) FROM shown")
        assert pa.total_allocated_bytes() - before <= 2 * numbers(0).nbytes
    relay.clear()
    assert pa.total_allocated_bytes() == before
    assert sums(connection) == list(range(20))


def test_tables_of_other_columns_stand_beside_each_other(connection: duckdb.DuckDBPyConnection) -> None:
    relay = Relay(connection)
    names = [relay.put("rows", numbers(1)), relay.put("rows", numbers(2, pa.int32())), relay.put("other", numbers(3))]
    for name in names:
        connection.execute(f"INSERT INTO sums SELECT min(n) FROM {name}")
    assert relay.put("rows", numbers(4)) == names[0]
    connection.execute(f"INSERT INTO sums SELECT min(n) FROM {names[0]}")
    assert sums(connection) == [1, 2, 3, 4]


def test_one_table_for_one_statement(connection: duckdb.DuckDBPyConnection) -> None:
    before = pa.total_allocated_bytes()
    for number in range(3):
        with relayed(connection, numbers(number)) as name:
            connection.execute(f"INSERT INTO sums SELECT min(n) FROM {name}")
        assert pa.total_allocated_bytes() == before
    assert sums(connection) == [0, 1, 2]
