"""The demo's shop and its simulator against a real server."""

from __future__ import annotations

import time
from collections.abc import Iterator

import psycopg
import pytest

from entrypoints.demo.server import EmbeddedPostgres
from entrypoints.demo.shop import TABLES, count_rows, create_shop
from entrypoints.demo.simulator import Simulator

pytestmark = pytest.mark.integration

_BROKEN_TOTALS = """
    SELECT count(*) FROM orders AS o WHERE total_amount <> coalesce(
        (SELECT sum(quantity * unit_price - discount_amount) FROM order_items AS i WHERE i.order_id = o.order_id), 0)
"""
_ORPHANS = "SELECT count(*) FROM {} WHERE order_id NOT IN (SELECT order_id FROM orders)"


@pytest.fixture(scope="module")
def server() -> Iterator[EmbeddedPostgres]:
    with EmbeddedPostgres() as running:
        create_shop(running.dsn())
        create_shop(running.dsn(), database="twin")
        yield running


def _one(dsn: str, statement: str) -> object:
    with psycopg.connect(dsn) as connection:
        row = connection.execute(statement.encode()).fetchone()
    assert row is not None
    return row[0]


def _fingerprint(dsn: str, table: str) -> object:
    return _one(dsn, f"SELECT md5(string_agg(t::text, '|' ORDER BY t::text)) FROM {table} AS t")


def test_the_shop_has_about_three_hundred_thousand_rows(server: EmbeddedPostgres) -> None:
    assert count_rows(server.dsn("twin")) == {
        "customers": 30_000,
        "addresses": 36_000,
        "products": 1_000,
        "orders": 60_000,
        "order_items": 120_000,
        "payments": 56_050,
    }


def test_two_shops_start_with_the_same_rows(server: EmbeddedPostgres) -> None:
    with EmbeddedPostgres() as other:
        create_shop(other.dsn())
        assert [_fingerprint(other.dsn("shop"), table) for table in TABLES] == [
            _fingerprint(server.dsn("twin"), table) for table in TABLES
        ]


def test_an_order_costs_what_its_items_cost(server: EmbeddedPostgres) -> None:
    assert _one(server.dsn("twin"), _BROKEN_TOTALS) == 0


def test_descriptions_are_stored_out_of_line(server: EmbeddedPostgres) -> None:
    toasted = "SELECT reltoastrelid::regclass::text FROM pg_class WHERE relname = 'products'"
    toast = _one(server.dsn("twin"), toasted)
    assert _one(server.dsn("twin"), f"SELECT count(DISTINCT chunk_id) FROM {toast}") == 1_000


def test_the_simulator_does_every_kind_of_transaction_and_keeps_the_shop_consistent(server: EmbeddedPostgres) -> None:
    dsn = server.dsn("shop")
    simulator = Simulator(dsn, seed=7)
    before = _one(dsn, "SELECT count(*) FROM orders")
    for _ in range(600):
        simulator.step()
    simulator.stop()
    assert len(simulator.counts) == 12
    assert sum(simulator.counts.values()) == 600
    assert _one(dsn, _BROKEN_TOTALS) == 0
    assert _one(dsn, _ORPHANS.format("order_items")) == 0
    assert _one(dsn, _ORPHANS.format("payments")) == 0
    assert _one(dsn, "SELECT count(*) FROM order_items WHERE sku NOT IN (SELECT sku FROM products)") == 0
    placed = simulator.counts["order placed"] + simulator.counts["order with savepoint"]
    after = _one(dsn, "SELECT count(*) FROM orders")
    assert isinstance(before, int)
    assert isinstance(after, int)
    assert before + placed - simulator.counts["order deleted"] <= after < before + placed


def test_the_simulator_keeps_its_rate_and_stops(server: EmbeddedPostgres) -> None:
    started = time.monotonic()
    with Simulator(server.dsn("shop"), rate_per_s=100, seed=3) as simulator:
        while sum(simulator.counts.values()) < 100 and time.monotonic() < started + 60:
            time.sleep(0.01)
    took = time.monotonic() - started
    assert simulator.error is None
    assert 0.8 < took < 60
    left = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'shop-simulator'"
    deadline = time.monotonic() + 60
    while _one(server.dsn("shop"), left) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert _one(server.dsn("shop"), left) == 0


def test_the_simulator_tells_why_it_ended(server: EmbeddedPostgres) -> None:
    simulator = Simulator(server.dsn("no_such_database"))
    simulator.start()
    simulator.stop()
    assert isinstance(simulator.error, psycopg.OperationalError)
