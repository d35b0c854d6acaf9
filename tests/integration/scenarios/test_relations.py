"""Tables that are renamed, moved to another schema, or replaced by another under their name."""

import pytest

from pipeline.domain.errors import PipelineError, SchemaRefused, SourceRejected
from pipeline.domain.events import CopyFinished
from tests.support.oracle import assert_equal
from tests.support.world import World


@pytest.fixture
def orders(world: World) -> World:
    world.sql("CREATE TABLE orders (id int PRIMARY KEY, status text)", "INSERT INTO orders VALUES (1, 'a'), (2, 'b')")
    world.stream("orders")
    world.run()
    return world


@pytest.mark.parametrize(
    ("statements", "relation"),
    [
        (["ALTER TABLE orders RENAME TO purchases"], "public.purchases"),
        (["CREATE SCHEMA sales", "ALTER TABLE orders SET SCHEMA sales"], "sales.orders"),
    ],
    ids=["renamed", "moved"],
)
def test_a_table_under_another_name_goes_on_once_the_pipeline_file_says_so(
    orders: World, statements: list[str], relation: str
) -> None:
    orders.sql("UPDATE orders SET status = 'before'")
    orders.sql(*statements)
    orders.sql(f"INSERT INTO {relation} VALUES (3, 'after')")
    before = orders.checkpoint()
    with pytest.raises(SourceRejected, match="orders"):
        orders.run()
    assert orders.checkpoint() == before
    orders.stream("orders", relation=relation)
    orders.run()
    assert_equal(orders)
    assert len(orders.recorder.of(CopyFinished)) == 1


@pytest.mark.parametrize("statement", ["DROP TABLE orders", "ALTER TABLE orders RENAME TO orders_old"])
def test_another_table_under_the_name_is_not_mistaken_for_it(orders: World, statement: str) -> None:
    orders.sql("UPDATE orders SET status = 'before'")
    orders.sql(statement, "CREATE TABLE orders (id int PRIMARY KEY, status text)")
    orders.sql("INSERT INTO orders VALUES (9, 'other')")
    before = orders.checkpoint()
    with pytest.raises(SchemaRefused, match="resync"):
        orders.run()
    assert orders.checkpoint() == before
    orders.run(resync=["orders"])
    assert_equal(orders)


def test_a_table_that_was_dropped_is_named_and_nothing_is_loaded(orders: World) -> None:
    orders.sql("CREATE TABLE items (id int PRIMARY KEY)")
    orders.stream("items")
    orders.run()
    orders.sql("DROP TABLE items", "INSERT INTO orders VALUES (3, 'c')")
    with pytest.raises(PipelineError, match="items"):
        orders.run()
    del orders.streams["items"]
    orders.run()
    assert_equal(orders)
