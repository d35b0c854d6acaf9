"""Schema changes at the source."""

import pytest

from pipeline.domain.contract import Contract, OnSchemaChange, Rule, RuleKind
from pipeline.domain.errors import SchemaRefused
from pipeline.domain.stream import Mode
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


@pytest.mark.parametrize(
    "column", ["token uuid DEFAULT gen_random_uuid()", "n bigserial", "m int GENERATED ALWAYS AS IDENTITY"]
)
def test_values_that_a_new_column_has_in_old_rows_are_never_silently_null(orders: World, column: str) -> None:
    orders.sql(f"ALTER TABLE orders ADD COLUMN {column}")
    orders.sql("INSERT INTO orders (id, status) VALUES (21, 'new')")
    with pytest.raises(SchemaRefused, match="does not tell them") as refused:
        orders.run()
    assert "resync orders" in refused.value.hint
    orders.run(resync=["orders"])
    orders.sql("UPDATE orders SET status = 'paid' WHERE id = 3")
    orders.run()
    assert_equal(orders)


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
    assert orders.verify().is_equal


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


@pytest.mark.parametrize(
    "change", ["status TYPE jsonb USING to_jsonb(status)", "amount TYPE int", "amount TYPE numeric(5,1)"]
)
def test_a_type_whose_values_the_column_can_hold_keeps_it(orders: World, change: str) -> None:
    orders.sql(f"ALTER TABLE orders ALTER {change}", "UPDATE orders SET id = 21 WHERE id = 1")
    orders.run()
    assert orders.staging("orders").schema.names == ["id", "status", "amount"]
    orders.run(resync=["orders"])
    rows = {row["id"]: row for row in orders.staging("orders").to_pylist()}
    assert (str(rows[21]["amount"]), rows[21]["status"].strip('"')) == ("1.00", "new")


def test_a_type_of_another_kind_is_another_column_and_old_rows_are_never_silently_null(orders: World) -> None:
    orders.sql("ALTER TABLE orders ALTER amount TYPE date USING date '2026-01-01' + amount::int")
    orders.sql("UPDATE orders SET status = 'paid' WHERE id = 1")
    before = orders.checkpoint()
    with pytest.raises(SchemaRefused, match="does not tell them") as refused:
        orders.run()
    assert "resync orders" in refused.value.hint
    assert orders.checkpoint() == before
    orders.run(resync=["orders"])
    assert orders.staging("orders").schema.names == ["id", "status", "amount", "amount_2"]
    assert orders.verify().is_equal


def test_a_column_dropped_and_added_again_under_its_name_is_another(orders: World) -> None:
    orders.sql("ALTER TABLE orders DROP status", "ALTER TABLE orders ADD status text DEFAULT 'again'")
    orders.sql("UPDATE orders SET amount = 0 WHERE id = 1")
    orders.run()
    rows = {row["id"]: row for row in orders.staging("orders").to_pylist()}
    assert [(rows[n]["status_dropped"], rows[n]["status"]) for n in (1, 2)] == [(None, "again"), ("new", "again")]


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


def recopied(world: World, stream: str) -> None:
    """A run refuses the change and says what to do; that is done."""
    with pytest.raises(SchemaRefused, match="resync"):
        world.run()
    world.run(resync=[stream])


def test_another_key_is_followed_by_copying_again(world: World) -> None:
    world.sql("CREATE TABLE parts (id int PRIMARY KEY, code text NOT NULL)", "INSERT INTO parts VALUES (1, 'x')")
    world.stream("parts")
    world.run()
    world.sql(
        "ALTER TABLE parts DROP CONSTRAINT parts_pkey",
        "ALTER TABLE parts ADD PRIMARY KEY (code)",
        "INSERT INTO parts VALUES (1, 'y')",
    )
    recopied(world, "parts")
    assert_equal(world)
    world.sql("UPDATE parts SET id = 7 WHERE code = 'y'", "DELETE FROM parts WHERE code = 'x'")
    world.run()
    assert_equal(world)
    assert world.warehouse.states("shop")["parts"].schema.key == ("code",)


def test_a_key_of_a_new_column_is_followed_by_copying_again(world: World) -> None:
    world.sql("CREATE TABLE parts (id int PRIMARY KEY, code text)", "INSERT INTO parts VALUES (1, 'x'), (2, 'x')")
    world.stream("parts", mode=Mode.SOFT_DELETE)
    world.run()
    world.sql(
        "ALTER TABLE parts DROP CONSTRAINT parts_pkey",
        "ALTER TABLE parts ADD number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY",
        "UPDATE parts SET code = 'y' WHERE id = 1",
    )
    recopied(world, "parts")
    world.sql("DELETE FROM parts WHERE id = 2")
    world.run()
    assert_equal(world)


def test_versions_of_one_key_are_never_put_under_another(world: World) -> None:
    world.sql("CREATE TABLE parts (id int PRIMARY KEY, code text NOT NULL)", "INSERT INTO parts VALUES (1, 'x')")
    world.stream("parts", mode=Mode.HISTORY)
    world.run()
    before = world.all_rows("parts")
    world.sql("ALTER TABLE parts DROP CONSTRAINT parts_pkey", "ALTER TABLE parts ADD PRIMARY KEY (code)")
    with pytest.raises(SchemaRefused, match="another name"):
        world.run(resync=["parts"])
    assert world.all_rows("parts") == before


def test_a_table_made_anew_with_its_columns_in_another_order(world: World) -> None:
    world.sql(
        "CREATE TABLE parts (id int PRIMARY KEY, name text, note text)",
        "INSERT INTO parts VALUES (1, 'name 1', 'note 1')",
    )
    world.stream("parts", mode=Mode.HISTORY)
    world.run()
    world.sql(
        "DROP TABLE parts",
        "CREATE TABLE parts (id int PRIMARY KEY, note text, name text)",
        "INSERT INTO parts (id, name, note) VALUES (1, 'name 2', 'note 2')",
    )
    recopied(world, "parts")
    assert_equal(world)
    wanted = {("name 1", "note 1"), ("name 2", "note 2")}
    assert {(row["name"], row["note"]) for row in world.changelog("parts")} == wanted
    assert {(row["name"], row["note"]) for row in world.all_rows("parts")} == wanted
    world.sql("ALTER TABLE parts RENAME note TO remark", "UPDATE parts SET remark = 'remark 3'")
    world.run()
    assert_equal(world)


def test_rows_that_wait_are_still_found_when_their_key_is_renamed(world: World) -> None:
    world.sql(
        "CREATE TABLE parts (id int PRIMARY KEY, n int, big text)",
        "ALTER TABLE parts ALTER big SET STORAGE EXTERNAL",
        "INSERT INTO parts VALUES (1, 1, repeat('x', 100000))",
    )
    world.stream("parts", contract=Contract(rules=(Rule(RuleKind.RANGE, ("n",), maximum=10),)))
    world.run()
    world.sql("UPDATE parts SET n = 100, big = repeat('y', 100000)")
    world.run()
    world.sql("ALTER TABLE parts RENAME id TO number", "UPDATE parts SET n = 5")
    world.run()
    assert [(row["key"], row["status"]) for row in world.quarantined("parts")] == [('{"number":1}', "waiting")] * 2
    assert [(row["n"], row["big"][0]) for row in world.staging("parts").to_pylist()] == [(1, "x")]
    world.sql("UPDATE parts SET n = 6, big = repeat('z', 100000)")
    world.run()
    assert {row["status"] for row in world.quarantined("parts")} == {"superseded"}
    assert_equal(world)
