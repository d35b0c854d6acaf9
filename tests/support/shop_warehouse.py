"""A DuckDB file with the shop's staging tables and changelogs as the pipeline leaves them, written naively row by row.

It stands in for source and loader where only what dbt makes of their tables is tested.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs
import duckdb

Row = Mapping[str, Any]

#: Columns and types of each table.
COLUMNS: dict[str, dict[str, str]] = {
    "customers": {
        "customer_id": "BIGINT",
        "customer_uuid": "VARCHAR",
        "full_name": "VARCHAR",
        "email": "VARCHAR",
        "tier": "VARCHAR",
        "interests": "JSON",
        "preferences": "JSON",
        "born_on": "DATE",
        "created_at": "TIMESTAMPTZ",
        "updated_at": "TIMESTAMPTZ",
    },
    "addresses": {
        "customer_id": "BIGINT",
        "address_no": "INTEGER",
        "street": "VARCHAR",
        "city": "VARCHAR",
        "postal_code": "VARCHAR",
        "country_code": "VARCHAR",
        "is_billing": "BOOLEAN",
        "updated_at": "TIMESTAMPTZ",
    },
    "products": {
        "sku": "VARCHAR",
        "product_name": "VARCHAR",
        "category": "VARCHAR",
        "price": "DECIMAL(12, 2)",
        "weight_kg": "FLOAT",
        "attributes": "JSON",
        "tags": "JSON",
        "description": "VARCHAR",
        "is_discontinued": "BOOLEAN",
        "updated_at": "TIMESTAMPTZ",
    },
    "orders": {
        "order_id": "BIGINT",
        "customer_id": "BIGINT",
        "status": "VARCHAR",
        "currency": "VARCHAR",
        "total_amount": "DECIMAL(14, 2)",
        "note": "VARCHAR",
        "placed_at": "TIMESTAMPTZ",
        "ship_on": "DATE",
        "updated_at": "TIMESTAMPTZ",
    },
    "order_items": {
        "order_id": "BIGINT",
        "line_no": "INTEGER",
        "sku": "VARCHAR",
        "quantity": "INTEGER",
        "unit_price": "DECIMAL(12, 2)",
        "discount_amount": "DECIMAL(12, 2)",
    },
    "payments": {
        "payment_id": "VARCHAR",
        "order_id": "BIGINT",
        "method": "VARCHAR",
        "amount": "DECIMAL(14, 2)",
        "details": "JSON",
        "paid_at": "TIMESTAMPTZ",
    },
}
KEYS = {
    "customers": ("customer_id",),
    "addresses": ("customer_id", "address_no"),
    "products": ("sku",),
    "orders": ("order_id",),
    "order_items": ("order_id", "line_no"),
    "payments": ("payment_id",),
}
HISTORY = frozenset({"customers"})
SOFT_DELETE = frozenset({"products"})

_STAGING = """_cdc_op VARCHAR, _cdc_sequence DECIMAL(38, 0), _cdc_commit_at TIMESTAMPTZ, _cdc_load BIGINT,
    _cdc_loaded_at TIMESTAMPTZ, _cdc_deleted BOOLEAN, _cdc_valid_from DECIMAL(38, 0), _cdc_valid_to DECIMAL(38, 0),
    _cdc_valid_from_at TIMESTAMPTZ, _cdc_valid_to_at TIMESTAMPTZ, _cdc_current BOOLEAN"""
_CHANGELOG = """_cdc_op VARCHAR, _cdc_sequence DECIMAL(38, 0), _cdc_commit_at TIMESTAMPTZ, _cdc_unchanged VARCHAR[],
    _cdc_old_key JSON, _cdc_schema_version INTEGER, _cdc_load BIGINT, _cdc_loaded_at TIMESTAMPTZ"""
_AT = "TIMESTAMPTZ '2026-11-01 00:00+00' + to_minutes({})"

#: Staging tables of the shop's partners, which no change here touches.
PARTNERS = {
    "fx__rates": """SELECT 'EUR' AS base, quote, (DATE '2026-01-01' + n::INTEGER) AS day, (1 + n / 1000)::DECIMAL(12, 6)
        AS rate, TIMESTAMPTZ '2026-01-01 00:00+00' AS updated_at
        FROM range(0, 100) t(n), (VALUES ('USD'), ('GBP')) u(quote)""",
    "suppliers__prices": """SELECT supplier, 'SKU-' || n AS sku, (n + 0.5)::DECIMAL(12, 2) AS unit_cost,
        'EUR' AS currency, DATE '2026-01-01' AS valid_from
        FROM range(0, 1000) t(n), (VALUES ('acme'), ('umbrella')) u(supplier)""",
}

#: Rows of each table for ``n`` from 1 to the number of orders; customers and products are fewer.
_SEED = {
    "customers": """SELECT n, md5('c' || n), 'Customer ' || n, 'customer' || n || '@example.com',
        ['standard', 'silver', 'gold'][n % 3 + 1], to_json(['books', 'music'][1:n % 3]),
        '{"language": "en", "newsletter": true}',
        DATE '1980-01-01' + n::INTEGER % 9000, TIMESTAMPTZ '2026-01-01 00:00+00', TIMESTAMPTZ '2026-01-01 00:00+00'
        FROM range(1, 2 + $count // 2) t(n)""",
    "addresses": """SELECT n, 1, n || ' Example Street', 'Springfield', '00000', 'US', true,
        TIMESTAMPTZ '2026-01-01 00:00+00' FROM range(1, 2 + $count // 2) t(n)""",
    "products": """SELECT 'SKU-' || n, 'Product ' || n, 'books', n + 0.99, NULL, '{"colour": "red"}', '["new"]',
        repeat('long ', 1800), false, TIMESTAMPTZ '2026-01-01 00:00+00'
        FROM range(0, least(1000, 1 + $count // 3)) t(n)""",
    "order_items": """SELECT n, l, 'SKU-' || (n + l) % least(1000, 1 + $count // 3), 1 + (n + l) % 3,
        10 + n % 7 + 0.50, 0
        FROM range(1, $count + 1) t(n), range(1, 3) u(l)""",
    "orders": """SELECT order_id, 1 + order_id % (1 + $count // 2),
        CASE WHEN order_id % 9 = 0 THEN 'cancelled' ELSE 'paid' END,
        'EUR', sum(quantity * unit_price - discount_amount), NULL,
        TIMESTAMPTZ '2026-01-01 00:00+00' + to_hours(order_id % 2400), NULL, TIMESTAMPTZ '2026-01-01 00:00+00'
        FROM changelog.shop__order_items GROUP BY order_id ORDER BY order_id""",
    "payments": """SELECT md5('p' || order_id), order_id, 'card', total_amount,
        '{"provider": "example", "attempts": 1}', placed_at + to_minutes(3)
        FROM changelog.shop__orders ORDER BY order_id""",
}


@attrs.frozen
class Change:
    """One change; ``row`` is the new image (of a delete the key alone), ``old_key`` the key where it changed."""

    table: str
    op: str
    row: Row = attrs.field(factory=dict)
    old_key: Row | None = None


@attrs.define
class ShopWarehouse:
    """Opens the file only while it writes or reads, like the pipeline."""

    path: Path
    load_number: int = 0
    sequence: int = 0

    def create(self, *, orders: int) -> None:
        """Create all tables and fill them as the first copy does, in one load."""
        self.load_number += 1
        with duckdb.connect(str(self.path)) as connection:
            connection.execute("CREATE SCHEMA staging; CREATE SCHEMA changelog;")
            for table, columns in COLUMNS.items():
                data = ", ".join(f"{name} {kind}" for name, kind in columns.items())
                connection.execute(f"CREATE TABLE staging.shop__{table} ({data}, {_STAGING})")
                connection.execute(f"CREATE TABLE changelog.shop__{table} ({data}, {_CHANGELOG})")
            for table, seed in _SEED.items():
                at = _AT.format(self.load_number)
                self.sequence += 1
                connection.execute(
                    f"INSERT INTO changelog.shop__{table} SELECT *, 'snapshot', {self.sequence}, {at}, NULL, NULL, 1,"
                    f" {self.load_number}, {at} FROM ({seed})".replace("$count", str(orders))
                )
                connection.execute(
                    f"INSERT INTO staging.shop__{table} SELECT {', '.join(COLUMNS[table])}, _cdc_op, _cdc_sequence,"
                    " _cdc_commit_at, _cdc_load, _cdc_loaded_at, false, _cdc_sequence, NULL, _cdc_commit_at, NULL, true"
                    f" FROM changelog.shop__{table}"
                )

            for table, seed in PARTNERS.items():
                at = _AT.format(self.load_number)
                connection.execute(
                    f"CREATE TABLE staging.{table} AS SELECT *, 'snapshot' AS _cdc_op, 1::DECIMAL(38, 0) AS"
                    f" _cdc_sequence, {at} AS _cdc_commit_at, 1::BIGINT AS _cdc_load, {at} AS _cdc_loaded_at,"
                    f" false AS _cdc_deleted, true AS _cdc_current FROM ({seed})"
                )

    def load(self, *changes: Change) -> None:
        """Load changes in order, in one transaction."""
        self.load_number += 1
        with duckdb.connect(str(self.path)) as connection:
            connection.begin()
            for change in changes:
                self.sequence += 1
                self._log(connection, change)
                self._apply(connection, change)
            connection.commit()

    def copy_again(self, table: str, *, where: str) -> None:
        """Copy a mirrored stream again, finding only the rows of ``where``: the others are gone without a delete."""
        self.load_number += 1
        self.sequence += 1
        names = ", ".join(COLUMNS[table])
        with duckdb.connect(str(self.path)) as connection:
            connection.execute(
                f"DELETE FROM staging.shop__{table} WHERE ({where}) IS NOT TRUE; UPDATE staging.shop__{table} SET"
                f" _cdc_op = 'snapshot', _cdc_sequence = {self.sequence}, _cdc_load = {self.load_number};"
                f" INSERT INTO changelog.shop__{table} SELECT {names}, 'snapshot', {self.sequence}, {self._at()}, NULL,"
                f" NULL, 1, {self.load_number}, {self._at()} FROM staging.shop__{table}"
            )

    def begin_anew(self) -> None:
        """The pipeline's own tables are emptied and filled again, loads counting from 1; marts stay as they are."""
        self.load_number = 1
        with duckdb.connect(str(self.path)) as connection:
            for table in COLUMNS:
                names = ", ".join(COLUMNS[table])
                connection.execute(
                    f"UPDATE staging.shop__{table} SET _cdc_load = 1; DELETE FROM changelog.shop__{table};"
                    f" INSERT INTO changelog.shop__{table} SELECT {names}, 'snapshot', 1, {self._at()}, NULL, NULL, 1,"
                    f" 1, {self._at()} FROM staging.shop__{table} WHERE _cdc_current AND NOT _cdc_deleted"
                )

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        """All rows of a query."""
        with duckdb.connect(str(self.path)) as connection:
            return connection.execute(sql).fetchall()

    def row(self, table: str, where: str) -> dict[str, Any]:
        """The data columns of one current row, to build a change from."""
        names = list(COLUMNS[table])
        [values] = self.query(f"SELECT {', '.join(names)} FROM staging.shop__{table} WHERE _cdc_current AND {where}")
        return dict(zip(names, values, strict=True))

    def marts(self) -> dict[str, list[tuple[Any, ...]]]:
        """The rows of every mart in order, less ``as_of_load``."""
        with duckdb.connect(str(self.path)) as connection:
            names = connection.execute(
                "SELECT table_name FROM duckdb_tables() WHERE schema_name = 'marts' ORDER BY table_name"
            ).fetchall()
            return {
                name: connection.execute(
                    f"SELECT COLUMNS(lambda c: c <> 'as_of_load') FROM marts.{name} ORDER BY ALL"
                ).fetchall()
                for (name,) in names
            }

    def _at(self) -> str:
        return _AT.format(self.load_number)

    def _log(self, connection: duckdb.DuckDBPyConnection, change: Change) -> None:
        values = [change.row.get(name) for name in COLUMNS[change.table]]
        old_key = None if change.old_key is None else json.dumps(dict(change.old_key), default=str)
        connection.execute(
            f"INSERT INTO changelog.shop__{change.table} VALUES ({', '.join('?' * len(values))}, ?, ?, {self._at()},"
            f" NULL, ?, 1, ?, {self._at()})",
            [*values, change.op, self.sequence, old_key, self.load_number],
        )

    def _apply(self, connection: duckdb.DuckDBPyConnection, change: Change) -> None:
        if change.op == "truncate":
            self._end(connection, change.table, "true", [])
            return
        for key in filter(None, (change.old_key, change.row)):
            names = KEYS[change.table]
            self._end(
                connection, change.table, " AND ".join(f"{name} = ?" for name in names), [key[name] for name in names]
            )
        if change.op == "delete":
            return
        if change.table in SOFT_DELETE:
            names = KEYS[change.table]
            connection.execute(
                f"DELETE FROM staging.shop__{change.table} WHERE {' AND '.join(f'{name} = ?' for name in names)}",
                [change.row[name] for name in names],
            )
        values = [change.row[name] for name in COLUMNS[change.table]]
        connection.execute(
            f"INSERT INTO staging.shop__{change.table} VALUES ({', '.join('?' * len(values))}, ?, ?, {self._at()}, ?,"
            f" {self._at()}, false, ?, NULL, {self._at()}, NULL, true)",
            [*values, change.op, self.sequence, self.load_number, self.sequence],
        )

    def _end(self, connection: duckdb.DuckDBPyConnection, table: str, where: str, values: list[Any]) -> None:
        """Take the current rows away, as the table's mode does it."""
        name = f"staging.shop__{table}"
        if table in HISTORY:
            connection.execute(
                f"UPDATE {name} SET _cdc_current = false, _cdc_valid_to = {self.sequence},"
                f" _cdc_valid_to_at = {self._at()} WHERE _cdc_current AND {where}",
                values,
            )
        elif table in SOFT_DELETE:
            connection.execute(
                f"UPDATE {name} SET _cdc_deleted = true, _cdc_op = 'delete', _cdc_load = {self.load_number}"
                f" WHERE {where}",
                values,
            )
        else:
            connection.execute(f"DELETE FROM {name} WHERE {where}", values)
