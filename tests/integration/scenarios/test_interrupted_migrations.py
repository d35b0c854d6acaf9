"""Schema changes whose tables were altered by a run that died before it recorded what it had done."""

from collections.abc import Callable

import pytest

from pipeline.domain.checkpoint import Checkpoint
from pipeline.domain.stream import Mode
from tests.support.faults import Died
from tests.support.oracle import assert_equal
from tests.support.world import World

#: What a run does that meets a schema change first.
Run = Callable[[World, object], None]


class DiesAfterMigrating:
    """Hands everything on; once tables are migrated the process is gone."""

    def __init__(self, world: World) -> None:
        self._world = world

    def __getattr__(self, name: str) -> object:
        return getattr(self._world.warehouse, name)

    def migrate(self, previous: Checkpoint, migrations: object) -> None:
        self._world.warehouse.migrate(previous, migrations)  # type: ignore[arg-type] # handed on as it is
        raise Died


def followed(world: World, warehouse: object) -> None:
    world.run(warehouse=warehouse)  # type: ignore[arg-type] # hands everything on


def copied(world: World, warehouse: object) -> None:
    world.run(warehouse=warehouse, resync=["orders"])  # type: ignore[arg-type] # hands everything on


def verified(world: World, warehouse: object) -> None:
    world.verify(warehouse=warehouse)  # type: ignore[arg-type] # hands everything on


@pytest.fixture(params=[Mode.MIRROR, Mode.HISTORY, Mode.APPEND])
def orders(world: World, request: pytest.FixtureRequest) -> World:
    world.sql(
        "CREATE TABLE orders (id int PRIMARY KEY, a text, b text)",
        "INSERT INTO orders SELECT n, 'a' || n, 'b' || n FROM generate_series(1, 20) n",
    )
    world.stream("orders", mode=request.param)
    world.run()
    return world


def died(world: World, run: Run, *statements: str) -> None:
    """Statements are committed, a change follows, and the run that meets them dies after migrating."""
    world.sql(*statements)
    world.sql("UPDATE orders SET id = id + 100 WHERE id = 1")
    with pytest.raises(Died):
        run(world, DiesAfterMigrating(world))


def assert_kept_up(world: World, columns: list[str]) -> None:
    """Rows from before and after the change are in the changelog and the staging table, under these names."""
    assert world.warehouse.states("shop")["orders"].schema.names == tuple(columns)
    first = {row["id"]: row for row in world.changelog("orders")}[2]
    assert [first[name] for name in columns] == list(world.rows("SELECT * FROM orders WHERE id = 2")[0])
    if world.streams["orders"].mode is not Mode.APPEND:
        assert_equal(world)


@pytest.mark.parametrize("run", [followed, copied])
def test_a_column_that_is_added(orders: World, run: Run) -> None:
    died(
        orders,
        run,
        "ALTER TABLE orders ADD country text DEFAULT 'NL'",
        "INSERT INTO orders VALUES (21, 'a', 'b', 'BE')",
    )
    run(orders, None)
    assert_kept_up(orders, ["id", "a", "b", "country"])


@pytest.mark.parametrize("run", [followed, copied])
def test_a_column_that_is_renamed_again(orders: World, run: Run) -> None:
    died(orders, run, "ALTER TABLE orders RENAME a TO c")
    orders.sql("ALTER TABLE orders RENAME c TO d", "UPDATE orders SET b = 'later' WHERE id = 3")
    run(orders, None)
    assert_kept_up(orders, ["id", "d", "b"])


@pytest.mark.parametrize("run", [followed, copied])
def test_a_column_that_is_renamed_back(orders: World, run: Run) -> None:
    died(orders, run, "ALTER TABLE orders RENAME a TO c")
    orders.sql("ALTER TABLE orders RENAME c TO a", "UPDATE orders SET b = 'later' WHERE id = 3")
    run(orders, None)
    assert_kept_up(orders, ["id", "a", "b"])


def test_two_columns_that_swapped_their_names(orders: World) -> None:
    died(
        orders,
        followed,
        "ALTER TABLE orders RENAME a TO c",
        "ALTER TABLE orders RENAME b TO a",
        "ALTER TABLE orders RENAME c TO b",
    )
    followed(orders, None)
    assert_kept_up(orders, ["id", "b", "a"])


@pytest.mark.parametrize("run", [followed, copied])
def test_a_key_that_is_renamed_again(orders: World, run: Run) -> None:
    orders.sql("ALTER TABLE orders RENAME id TO number", "UPDATE orders SET number = 101 WHERE number = 1")
    with pytest.raises(Died):
        run(orders, DiesAfterMigrating(orders))
    orders.sql("ALTER TABLE orders RENAME number TO id", "DELETE FROM orders WHERE id = 4")
    run(orders, None)
    assert_kept_up(orders, ["id", "a", "b"])


def test_a_new_column_that_is_gone_again_and_another_in_its_place(orders: World) -> None:
    orders.sql("ALTER TABLE orders ADD c int DEFAULT 7")
    run = verified if orders.streams["orders"].mode is not Mode.APPEND else copied
    with pytest.raises(Died):
        run(orders, DiesAfterMigrating(orders))
    orders.sql("ALTER TABLE orders DROP c", "ALTER TABLE orders ADD c text DEFAULT 'seven'")
    run(orders, None)
    assert_kept_up(orders, ["id", "a", "b", "c"])


def test_the_mode_is_switched_by_the_next_run(orders: World) -> None:
    died(orders, copied, "ALTER TABLE orders RENAME a TO c", "ALTER TABLE orders ADD e int DEFAULT 5")
    orders.stream("orders", mode=Mode.SOFT_DELETE)
    followed(orders, None)
    assert_kept_up(orders, ["id", "c", "b", "e"])
