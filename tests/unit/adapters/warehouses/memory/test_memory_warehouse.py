"""What the memory warehouse offers beyond the port's obligations."""

from __future__ import annotations

import pytest

from adapters.warehouses.memory import build
from pipeline.domain.errors import WarehouseError
from pipeline.domain.loading import Migration
from pipeline.domain.planning import plan_steps
from pipeline.domain.stream import Mode
from tests.conformance.warehouse_ground import CANARY, FIRST, PEOPLE, create, following, load, target_for
from tests.support.told import Log, change_table


def test_warehouses_share_their_tables_only_when_a_store_is_named() -> None:
    for options, shared in (({}, None), ({"store": "test of sharing"}, FIRST)):
        build("first", options).begin(FIRST)
        assert build("second", options).checkpoint("shop") == shared


def test_queries_see_staging_tables_changelogs_and_quarantine() -> None:
    warehouse = build("queried", {})
    warehouse.begin(FIRST)
    load(warehouse, create(warehouse, target_for()), [Log().insert(id=1, name="a")])
    query = """SELECT s.id, s.name, c._cdc_op, (SELECT count(*) FROM quarantine.shop__people) AS waiting
FROM staging.shop__people AS s JOIN changelog.shop__people AS c USING (id)"""
    assert warehouse.query(query).to_pylist() == [{"id": 1, "name": "a", "_cdc_op": "insert", "waiting": 0}]


def test_a_query_that_fails_tells_no_value() -> None:
    with pytest.raises(WarehouseError) as caught:
        build("queried", {}).query(f"SELECT CAST('{CANARY}' AS INTEGER)")
    assert CANARY not in str(caught.value)


def test_steps_for_another_mode_than_the_tables_are_refused() -> None:
    warehouse = build("strict", {})
    warehouse.begin(FIRST)
    warehouse.migrate(FIRST, [Migration(target_for(Mode.MIRROR))])
    step = plan_steps(target_for(Mode.HISTORY), change_table(PEOPLE, [Log().insert(id=1, name="a")]))[0]
    with warehouse.load(FIRST, following(FIRST)) as opened, pytest.raises(WarehouseError):
        opened.apply(step)


def test_a_load_that_is_over_takes_nothing_more() -> None:
    warehouse = build("strict", {})
    warehouse.begin(FIRST)
    target = create(warehouse, target_for())
    with warehouse.load(FIRST, following(FIRST)) as opened:
        pass
    with pytest.raises(WarehouseError):
        opened.replace(target)
    with pytest.raises(WarehouseError):
        opened.commit({})
