"""A shop at work: commits real transactions over several tables at a given rate, for the demo and the tests.

The shop's tables and first rows are ``shop``'s. The same seed makes the same choices, one transaction after another.
"""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from decimal import Decimal
from types import TracebackType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import psycopg

_NEXT_STATUS = {"placed": "paid", "paid": "shipped", "shipped": "delivered"}
_CITIES = ("Springfield", "Rivertown", "Lakeside", "Hillview", "Seaport")


class Simulator:
    """Runs in a thread between ``start`` and ``stop``, or one transaction at a time by ``step``.

    ``rate_per_s`` is transactions a second. ``counts`` tells how many of each kind were committed, and under
    ``rolled_back`` how many were not; ``error`` why the thread ended early, None if it did not.
    """

    def __init__(self, dsn: str, *, rate_per_s: float = 20.0, seed: int = 1) -> None:
        self.counts: Counter[str] = Counter()
        self.error: Exception | None = None
        self._dsn = dsn
        self._interval_s = 1.0 / rate_per_s
        self._choose = random.Random(seed)  # noqa: S311 - repeatable choices, nothing secret
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None
        self._connection: psycopg.Connection[tuple[Any, ...]] | None = None
        self._customers = 0
        self._orders = 0
        self._skus: list[str] = []
        self._kinds: dict[Callable[[], None], int] = {
            self._place_order: 38,
            self._advance_order: 20,
            self._amend_order: 8,
            self._delete_order: 5,
            self._add_customer: 4,
            self._change_customer: 5,
            self._move_customer: 7,
            self._renumber_address: 2,
            self._change_price: 6,
            self._rename_sku: 1,
            self._change_mind: 2,
            self._correct_with_savepoint: 2,
        }

    def __enter__(self) -> Simulator:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def committed_count(self) -> int:
        """Transactions committed so far."""
        return sum(self.counts.values()) - self.counts["rolled_back"]

    def start(self) -> None:
        """Begin to commit transactions in the background."""
        self._stopped.clear()
        self._thread = threading.Thread(target=self._run, name="shop-simulator", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Finish the transaction at hand, then close the connection. Safe to call twice."""
        self._stopped.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def step(self) -> None:
        """Do one transaction now."""
        if self._connection is None:
            self._connect()
        [act] = self._choose.choices(list(self._kinds), list(self._kinds.values()))
        act()

    def _run(self) -> None:
        due = time.monotonic()
        try:
            while not self._stopped.wait(max(0.0, due - time.monotonic())):
                self.step()
                # A second of delay is caught up, more is not: no burst after a pause.
                due = max(due + self._interval_s, time.monotonic() - 1.0)
        except Exception as error:  # kept for whoever started the thread
            self.error = error

    def _connect(self) -> None:
        import psycopg

        self._connection = psycopg.connect(self._dsn, autocommit=True, application_name="shop-simulator")
        [(self._customers,)] = self._sql("SELECT max(customer_id) FROM customers")
        [(self._orders,)] = self._sql("SELECT max(order_id) FROM orders")
        self._skus = [sku for (sku,) in self._sql("SELECT sku FROM products ORDER BY sku")]

    def _open(self) -> psycopg.Connection[tuple[Any, ...]]:
        assert self._connection is not None, "step connects first"  # noqa: S101 - tells the type checker
        return self._connection

    def _sql(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        cursor = self._open().execute(statement.encode(), values or None)
        return cursor.fetchall() if cursor.description else []

    def _customer(self) -> int:
        return self._choose.randint(1, self._customers)

    def _order(self) -> int:
        """An order, more likely a late one; it may have been deleted already."""
        span = min(self._orders, 2000) if self._choose.random() < 0.7 else self._orders
        return self._orders - self._choose.randrange(span)

    def _insert_order(self) -> int:
        skus = self._choose.sample(self._skus, self._choose.randint(1, 4))
        prices: dict[str, Decimal] = dict(self._sql("SELECT sku, price FROM products WHERE sku = ANY(%s)", skus))
        quantities = [self._choose.randint(1, 5) for _ in skus]
        total = sum(prices[sku] * quantity for sku, quantity in zip(skus, quantities, strict=True))
        [(order,)] = self._sql(
            "INSERT INTO orders (customer_id, status, currency, total_amount, placed_at, updated_at)"
            " VALUES (%s, 'placed', 'EUR', %s, now(), now()) RETURNING order_id",
            self._customer(),
            total,
        )
        self._sql(
            "INSERT INTO order_items SELECT %s, n, sku, quantity, price, 0"
            " FROM unnest(%s::text[], %s::int[], %s::numeric[]) WITH ORDINALITY AS t (sku, quantity, price, n)",
            order,
            skus,
            quantities,
            [prices[sku] for sku in skus],
        )
        return int(order)

    def _pay(self, order: int) -> None:
        self._sql(
            "INSERT INTO payments SELECT gen_random_uuid(), order_id, %s::payment_method, total_amount,"
            " jsonb_build_object('provider', 'example', 'attempts', %s::int), now() FROM orders WHERE order_id = %s",
            self._choose.choice(("card", "transfer", "voucher")),
            self._choose.randint(1, 3),
            order,
        )

    def _set_status(self, order: int, status: str) -> None:
        self._sql(
            "UPDATE orders SET status = %s::order_status, updated_at = now(), ship_on ="
            " CASE WHEN %s = 'shipped' THEN current_date ELSE ship_on END WHERE order_id = %s",
            status,
            status,
            order,
        )

    def _place_order(self) -> None:
        with self._open().transaction():
            order = self._insert_order()
            if self._choose.random() < 0.5:
                self._pay(order)
                self._set_status(order, "paid")
        self._orders = max(self._orders, order)
        self.counts["order placed"] += 1

    def _advance_order(self) -> None:
        order = self._order()
        with self._open().transaction():
            found = self._sql("SELECT status::text FROM orders WHERE order_id = %s FOR UPDATE", order)
            status = _NEXT_STATUS.get(found[0][0], "delivered") if found else "delivered"
            if status == "paid":
                self._pay(order)
            self._set_status(order, status)
        self.counts["order advanced"] += 1

    def _amend_order(self) -> None:
        order = self._order()
        with self._open().transaction():
            self._sql(
                "UPDATE order_items SET quantity = %s WHERE order_id = %s AND line_no = 1",
                self._choose.randint(1, 9),
                order,
            )
            self._sql(
                "UPDATE orders SET updated_at = now(), total_amount = (SELECT"
                " coalesce(sum(quantity * unit_price - discount_amount), 0) FROM order_items WHERE order_id = %s)"
                " WHERE order_id = %s",
                order,
                order,
            )
        self.counts["order amended"] += 1

    def _delete_order(self) -> None:
        order = self._order()
        with self._open().transaction():
            for table in ("payments", "order_items", "orders"):
                self._sql(f"DELETE FROM {table} WHERE order_id = %s", order)
        self.counts["order deleted"] += 1

    def _add_customer(self) -> None:
        customer = self._customers + 1
        with self._open().transaction():
            self._sql(
                "INSERT INTO customers VALUES (%s, gen_random_uuid(), %s, %s, 'standard', '{}', '{}', NULL, now(),"
                " now())",
                customer,
                f"Customer {customer}",
                f"customer{customer}@example.com",
            )
            self._sql(
                "INSERT INTO addresses VALUES (%s, 1, %s, %s, '00000', 'US', true, now())",
                customer,
                f"{customer} Example Street",
                self._choose.choice(_CITIES),
            )
        self._customers = customer
        self.counts["customer added"] += 1

    def _change_customer(self) -> None:
        self._sql(
            "UPDATE customers SET tier = %s::customer_tier, preferences = preferences || '{\"changed\": true}',"
            " updated_at = now() WHERE customer_id = %s",
            self._choose.choice(("standard", "silver", "gold")),
            self._customer(),
        )
        self.counts["customer changed"] += 1

    def _move_customer(self) -> None:
        customer = self._customer()
        with self._open().transaction():
            self._sql(
                "UPDATE addresses SET street = %s, city = %s, updated_at = now() WHERE customer_id = %s AND is_billing",
                f"{self._choose.randint(1, 999)} Example Avenue",
                self._choose.choice(_CITIES),
                customer,
            )
            self._sql("UPDATE customers SET updated_at = now() WHERE customer_id = %s", customer)
        self.counts["customer moved"] += 1

    def _renumber_address(self) -> None:
        """A change of a composite key."""
        self._sql(
            "UPDATE addresses SET address_no = address_no + 100, updated_at = now() WHERE customer_id = %s",
            self._customer(),
        )
        self.counts["address renumbered"] += 1

    def _change_price(self) -> None:
        """Leaves the long description alone: the log does not carry it."""
        self._sql(
            "UPDATE products SET price = round(price * %s + 0.01, 2), updated_at = now() WHERE sku = %s",
            Decimal(self._choose.randint(80, 120)) / 100,
            self._choose.choice(self._skus),
        )
        self.counts["price changed"] += 1

    def _rename_sku(self) -> None:
        """A change of a text key whose row has a long unchanged value, and of the rows that refer to it."""
        place = self._choose.randrange(len(self._skus))
        old = self._skus[place]
        base, _, version = old.partition("/")
        new = f"{base}/{int(version or 1) + 1}"
        with self._open().transaction():
            self._sql("UPDATE products SET sku = %s, updated_at = now() WHERE sku = %s", new, old)
            self._sql("UPDATE order_items SET sku = %s WHERE sku = %s", new, old)
        self._skus[place] = new
        self.counts["sku renamed"] += 1

    def _change_mind(self) -> None:
        """A transaction that is rolled back: nothing of it may ever be seen downstream."""
        import psycopg

        with self._open().transaction():
            order = self._insert_order()
            self._pay(order)
            raise psycopg.Rollback
        self.counts["rolled_back"] += 1

    def _correct_with_savepoint(self) -> None:
        """An order whose first payment is rolled back to a savepoint."""
        import psycopg

        with self._open().transaction():
            order = self._insert_order()
            with self._open().transaction():
                self._pay(order)
                raise psycopg.Rollback
            self._sql("UPDATE orders SET note = 'paid in cash' WHERE order_id = %s", order)
        self._orders = max(self._orders, order)
        self.counts["order with savepoint"] += 1
