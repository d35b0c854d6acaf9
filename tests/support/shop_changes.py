"""Changes of every kind to the shop, one function each; it gives the tables that it changed.

Writing them is ``shop_warehouse``'s; what dbt has to make of them is told by the tests.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

from tests.support.shop_warehouse import Change, ShopWarehouse

Step = Callable[[ShopWarehouse], set[str]]


def advance(shop: ShopWarehouse) -> set[str]:
    shop.load(Change("orders", "update", shop.row("orders", "order_id = 3") | {"status": "shipped"}))
    return {"orders"}


def place(shop: ShopWarehouse) -> set[str]:
    order = shop.row("orders", "order_id = 4") | {"order_id": 1000, "total_amount": Decimal("7.00")}
    item = shop.row("order_items", "order_id = 4 AND line_no = 1")
    payment = shop.row("payments", "order_id = 4")
    shop.load(
        Change("orders", "insert", order),
        Change("order_items", "insert", item | {"order_id": 1000, "quantity": 1, "unit_price": Decimal("7.00")}),
        Change("payments", "insert", payment | {"payment_id": "0" * 32, "order_id": 1000, "amount": Decimal("7.00")}),
    )
    return {"orders", "order_items", "payments"}


def delete_order(shop: ShopWarehouse) -> set[str]:
    payment = shop.row("payments", "order_id = 5")
    shop.load(
        Change("payments", "delete", {"payment_id": payment["payment_id"]}),
        Change("order_items", "delete", {"order_id": 5, "line_no": 1}),
        Change("order_items", "delete", {"order_id": 5, "line_no": 2}),
        Change("orders", "delete", {"order_id": 5}),
    )
    return {"orders", "order_items", "payments"}


def delete_only_a_payment(shop: ShopWarehouse) -> set[str]:
    shop.load(Change("payments", "delete", {"payment_id": shop.row("payments", "order_id = 6")["payment_id"]}))
    return {"payments"}


def move_a_payment(shop: ShopWarehouse) -> set[str]:
    shop.load(Change("payments", "update", shop.row("payments", "order_id = 7") | {"order_id": 8}))
    return {"payments"}


def change_key_of_payment(shop: ShopWarehouse) -> set[str]:
    old = shop.row("payments", "order_id = 10")
    new = old | {"payment_id": "f" * 32, "order_id": 11}
    shop.load(Change("payments", "update", new, {"payment_id": old["payment_id"]}))
    return {"payments"}


def move_an_item(shop: ShopWarehouse) -> set[str]:
    item = shop.row("order_items", "order_id = 12 AND line_no = 2") | {"order_id": 13, "line_no": 7}
    shop.load(Change("order_items", "update", item, {"order_id": 12, "line_no": 2}))
    return {"order_items"}


def renumber_an_order(shop: ShopWarehouse) -> set[str]:
    shop.load(Change("orders", "update", shop.row("orders", "order_id = 14") | {"order_id": 2000}, {"order_id": 14}))
    return {"orders"}


def delete_and_insert_again(shop: ShopWarehouse) -> set[str]:
    order = shop.row("orders", "order_id = 15")
    shop.load(Change("orders", "delete", {"order_id": 15}))
    shop.load(Change("orders", "insert", order | {"status": "placed"}))
    return {"orders"}


def several_loads_over_several_streams(shop: ShopWarehouse) -> set[str]:
    shop.load(Change("payments", "delete", {"payment_id": shop.row("payments", "order_id = 16")["payment_id"]}))
    shop.load(Change("orders", "update", shop.row("orders", "order_id = 17") | {"currency": "USD"}))
    shop.load(Change("order_items", "delete", {"order_id": 18, "line_no": 1}))
    return {"orders", "order_items", "payments"}


def rename_a_product(shop: ShopWarehouse) -> set[str]:
    product = shop.row("products", "sku = 'SKU-1'") | {"sku": "SKU-1/2"}
    item = shop.row("order_items", "order_id = 20 AND line_no = 1") | {"sku": "SKU-1/2"}
    shop.load(Change("products", "update", product, {"sku": "SKU-1"}), Change("order_items", "update", item))
    return {"products", "order_items"}


def change_customers(shop: ShopWarehouse) -> set[str]:
    for tier in ("gold", "silver", "gold"):
        shop.load(Change("customers", "update", shop.row("customers", "customer_id = 2") | {"tier": tier}))
    shop.load(Change("customers", "delete", {"customer_id": 3}))
    return {"customers"}


def store_odd_values(shop: ShopWarehouse) -> set[str]:
    customer = shop.row("customers", "customer_id = 5")
    product = shop.row("products", "sku = 'SKU-2'")
    shop.load(
        Change(
            "customers", "update", customer | {"interests": '["a", null, "b, c"]', "preferences": '{"language": null}'}
        ),
        Change("products", "update", product | {"weight_kg": 0.1, "tags": None, "attributes": "null"}),
    )
    return {"customers", "products"}


def copy_items_again(shop: ShopWarehouse) -> set[str]:
    shop.copy_again("order_items", where="order_id <> 21")
    return {"order_items"}


def truncate_payments(shop: ShopWarehouse) -> set[str]:
    payment = shop.row("payments", "order_id = 22")
    shop.load(Change("payments", "truncate"), Change("payments", "insert", payment))
    return {"payments"}


def truncate_orders_and_go_on(shop: ShopWarehouse) -> set[str]:
    order = shop.row("orders", "order_id = 23")
    shop.load(Change("orders", "truncate"))
    shop.load(Change("orders", "insert", order))
    return {"orders"}


def truncate_everything(shop: ShopWarehouse) -> set[str]:
    shop.load(Change("orders", "truncate"), Change("order_items", "truncate"), Change("payments", "truncate"))
    return {"orders", "order_items", "payments"}


#: Steps that name the keys they change: the rows of other keys are not computed again.
NAMED: list[Step] = [
    advance,
    place,
    delete_order,
    delete_only_a_payment,
    move_a_payment,
    change_key_of_payment,
    move_an_item,
    renumber_an_order,
    delete_and_insert_again,
    several_loads_over_several_streams,
    rename_a_product,
    change_customers,
    store_odd_values,
]
#: Steps after which every key counts.
WHOLE: list[Step] = [copy_items_again, truncate_payments, truncate_orders_and_go_on, truncate_everything]
