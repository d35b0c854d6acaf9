"""What only Snowflake asks of a pipeline: answers lost over a network, and values that its columns do not take."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.support.world import World


@pytest.fixture
def world(make_world: Callable[[str], World]) -> World:
    """A stream of orders that was copied."""
    made = make_world("snowflake")
    made.sql("CREATE TABLE orders (id int PRIMARY KEY, note text)", "INSERT INTO orders VALUES (1, 'a')")
    made.stream("orders")
    made.run()
    return made


@pytest.mark.parametrize("kind", ["answer_lost", "not_arrived"])
@pytest.mark.parametrize("statement", ["^COMMIT", "^MERGE", "^COPY"])
def test_a_run_goes_on_after_a_connection_that_was_lost(world: World, statement: str, kind: str) -> None:
    world.sql("INSERT INTO orders VALUES (2, 'b')", "UPDATE orders SET note = 'c' WHERE id = 1")
    assert world.emulator is not None
    world.emulator.fault(world.database.upper(), pattern=statement, kind=kind)
    world.run()
    rows = sorted(tuple(row.values()) for row in world.staging("orders").to_pylist())
    assert rows == [(1, "c"), (2, "b")]
    changes = [(row["id"], row["_cdc_op"]) for row in world.changelog("orders")]
    assert changes == [(1, "snapshot"), (2, "insert"), (1, "update")]


def test_a_value_above_a_limit_is_set_apart_and_the_rest_is_loaded(make_world: Callable[[str], World]) -> None:
    world = make_world("snowflake")
    world.sql("CREATE TABLE files (id int PRIMARY KEY, body bytea, facts json)")
    world.stream("files")
    world.run()
    world.sql(
        "INSERT INTO files VALUES (1, '', '{}'), (2, decode(repeat('00', 9000000), 'hex'), NULL)",
        f"INSERT INTO files VALUES (3, NULL, '[{'7' * 39}]'), (4, NULL, '[{'7' * 38}]')",
    )
    world.run()
    assert sorted(row["id"] for row in world.staging("files").to_pylist()) == [1, 4]
    reasons = {row["key"]: row["reasons"] for row in world.quarantined("files")}
    assert reasons == {'{"id":2}': ["size(body)"], '{"id":3}': ["digits(facts)"]}
