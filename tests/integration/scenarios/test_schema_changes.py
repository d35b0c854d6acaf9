"""Schema changes at the source."""

import pytest

from pipeline.application.verify import verify
from pipeline.domain.contract import Contract, OnSchemaChange
from pipeline.domain.errors import SchemaRefused
from tests.support.faults import Died
from tests.support.oracle import assert_equal
from tests.support.world import World


@pytest.fixture
def orders(world: World) -> World:
    world.sql(
        "CREATE TABLE orders (id int PRIMARY KEY, status varchar(10), amount numeric(6,2))",
        "INSERT INTO orders SELECT n, 'new', n FROM generate_series(1, 20) n",
    )
    world.stream("orders")
    world.run()
    return world


def copies(world: World) -> int:
    from pipeline.domain.events import CopyFinished

    return len(world.recorder.of(CopyFinished))


def test_old_rows_show_the_constant_default_of_a_new_column(orders: World) -> None:
    orders.sql("ALTER TABLE orders ADD COLUMN country text NOT NULL DEFAULT 'NL', ADD COLUMN points int DEFAULT 7")
    orders.sql("INSERT INTO orders VALUES (21, 'new', 1)", "UPDATE orders SET country = 'BE' WHERE id = 3")
    orders.run()
    assert_equal(orders)
    assert copies(orders) == 1


def test_a_column_added_between_two_statements_of_one_transaction(orders: World) -> None:
    orders.sql(
        "INSERT INTO orders VALUES (21, 'before', 1)",
        "ALTER TABLE orders ADD COLUMN country text DEFAULT 'NL'",
        "INSERT INTO orders VALUES (22, 'after', 1, 'BE')",
        "UPDATE orders SET status = 'paid' WHERE id = 1",
    )
    orders.run()
    assert_equal(orders)


def test_a_dropped_column_stays_and_is_null_in_new_rows(orders: World) -> None:
    orders.sql("ALTER TABLE orders DROP COLUMN amount")
    orders.sql("INSERT INTO orders VALUES (21, 'new')")
    orders.run()
    rows = {row["id"]: row for row in orders.staging("orders").to_pylist()}
    assert rows[21]["amount"] is None
    assert str(rows[1]["amount"]) == "1.00"
    session = orders.session()
    try:
        assert verify(session).is_equal
    finally:
        session.source.close()


def test_a_renamed_column_keeps_its_values(orders: World) -> None:
    orders.sql("ALTER TABLE orders RENAME COLUMN status TO state")
    orders.sql("INSERT INTO orders VALUES (21, 'new', 1)", "UPDATE orders SET state = 'paid' WHERE id = 1")
    orders.run()
    assert_equal(orders)
    assert orders.staging("orders").schema.names == ["id", "state", "amount"]


def test_types_are_widened(orders: World) -> None:
    orders.sql("ALTER TABLE orders ADD COLUMN n int DEFAULT 3", "UPDATE orders SET status = 'paid' WHERE id = 1")
    orders.run()
    orders.sql("ALTER TABLE orders ALTER status TYPE text, ALTER amount TYPE numeric(12,4)")
    orders.sql("INSERT INTO orders VALUES (21, repeat('x', 50), 12345678.1234, 5)")
    orders.run()
    orders.sql("ALTER TABLE orders ALTER n TYPE bigint")
    orders.sql("INSERT INTO orders VALUES (22, 'new', 1, 9000000000)")
    orders.run()
    assert_equal(orders)


def test_by_contract_a_new_column_is_left_out_and_the_others_are_not_lost(orders: World) -> None:
    orders.stream("orders", contract=Contract(on_schema_change=OnSchemaChange.DISCARD))
    orders.sql("ALTER TABLE orders ADD COLUMN country text DEFAULT 'NL'")
    orders.sql("INSERT INTO orders VALUES (21, 'new', 1)", "UPDATE orders SET status = 'paid' WHERE id = 1")
    orders.run()
    assert_equal(orders)
    assert orders.staging("orders").schema.names == ["id", "status", "amount"]


def test_by_contract_a_new_column_stops_the_pipeline_before_anything_is_loaded(orders: World) -> None:
    orders.stream("orders", contract=Contract(on_schema_change=OnSchemaChange.STOP))
    orders.sql("ALTER TABLE orders ADD COLUMN country text")
    orders.sql("INSERT INTO orders VALUES (21, 'new', 1)")
    before = orders.checkpoint()
    with pytest.raises(SchemaRefused) as refused:
        orders.run()
    assert "orders" in str(refused.value)
    assert orders.checkpoint() == before


def test_a_crash_between_altering_the_table_and_recording_it(orders: World) -> None:
    class DiesAfterMigrating:
        def __getattr__(self, name: str) -> object:
            return getattr(orders.warehouse, name)

        def migrate(self, migrations: object) -> None:
            orders.warehouse.migrate(migrations)  # type: ignore[arg-type] # handed on as it is
            raise Died

    orders.sql("ALTER TABLE orders ADD COLUMN country text DEFAULT 'NL'")
    orders.sql("INSERT INTO orders VALUES (21, 'new', 1, 'BE')")
    with pytest.raises(Died):
        orders.run(warehouse=DiesAfterMigrating())  # type: ignore[arg-type] # hands everything on
    orders.run()
    assert_equal(orders)


def test_names_that_a_warehouse_would_trip_over(world: World) -> None:
    long = "x" * 63
    world.sql(
        f'CREATE TABLE "Select" (id int PRIMARY KEY, "select" text, "a""b" int, "🚀 launch" text, "{long}" int,'
        ' "Name" text, "name" text, "_cdc_op" text, "NAME" text)',
        """INSERT INTO "Select" VALUES (1, 's', 2, '🚀', 4, 'upper', 'lower', 'mine', 'shout')""",
    )
    world.stream("Select", relation='public."Select"')
    world.run()
    world.sql("""UPDATE "Select" SET "name" = 'changed', "_cdc_op" = 'still mine', "🚀 launch" = NULL""")
    world.run()
    assert world.staging("Select").schema.names == [
        "id", "select", 'a"b', "🚀 launch", long, "Name", "name_2", "cdc_op", "NAME_3",
    ]  # fmt: skip
    assert_equal(world)
