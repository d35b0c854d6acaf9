"""The shop under Airflow's own test runner: what its runs look like when all is good, and the homes they run in."""

from __future__ import annotations

import sys
from pathlib import Path

import psycopg

from entrypoints.demo.shop import create_shop
from tests.support.airflow_database import make_database
from tests.support.airflow_home import ROOT, make_home, plain_environment

SHOP_FILE = ROOT / "config" / "pipelines" / "shop.yaml"
#: Their loads are one task, mapped.
GROUPS = ("shop", "fx__rates", "suppliers__prices")
LOADS = {f"load {group}": "success" for group in GROUPS}
STREAMS = ["addresses", "customers", "order_items", "orders", "payments", "prices", "products", "rates"]
MARTS = [
    "dim_customers",
    "dim_products",
    "fct_daily_revenue",
    "fct_order_items",
    "fct_orders",
    "fct_product_margins",
    "fct_revenue_by_currency",
]
_ENDS = dict.fromkeys(("decide", "check", "all_loaded", "verify", "publish"), "success") | {"approve": "skipped"}
ALL_GOOD = _ENDS | LOADS | dict.fromkeys(("build_staging", "build_marts"), "success")
#: The same without layers: dbt is started once.
FLAT = _ENDS | LOADS | {"build": "success"}
#: What a change of a product gives events.
OF_PRODUCTS = ["shop/marts/dim_products", "shop/marts/fct_product_margins", "shop/staging/products"]

#: Pipeline files of a source that is not there, and of a kind that there is not.
AWAY = (
    "source: {kind: postgres, host: 127.0.0.1, port: 1, user: app, password: '${PW}'}\n"
    "warehouse: {kind: memory}\nstreams: {people: }\n"
)
BROKEN = "source: {kind: postgras}\nstreams: {people: }\n"

_ORDERS = 2000


def create_small_shop(dsn: str) -> None:
    """The demo's shop with few orders: what is tested is not how long many take."""
    create_shop(dsn)
    with psycopg.connect(psycopg.conninfo.make_conninfo(dsn, dbname="shop"), autocommit=True) as connection:
        for table in ("order_items", "payments", "orders"):
            connection.execute(f"DELETE FROM {table} WHERE order_id > {_ORDERS}")


def airflow_environment(folder: Path, variables: dict[str, str]) -> dict[str, str]:
    """The environment of an Airflow with a database of its own, and a home in ``folder`` without pipeline files."""
    home = make_home(folder)
    airflow = home / "airflow"
    environment = {
        **plain_environment(),
        "AIRFLOW_HOME": str(airflow),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{airflow}/airflow.db",
        "AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "entrypoints" / "airflow"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__UNIT_TEST_MODE": "False",
        "PIPELINE_CONFIG_DIR": str(home / "config"),
        **variables,
    }
    make_database(airflow / "airflow.db", environment)
    return environment


def write_pipeline(home: Path, name: str, text: str) -> None:
    """Write a pipeline file, or write it anew."""
    (home / "config" / "pipelines" / f"{name}.yaml").write_text(text)


def noting_python(home: Path) -> Path:
    """An interpreter for dbt that notes in ``dbt.starts`` that it was started."""
    python = home / "python"
    python.write_text(f'#!/bin/sh\necho started >> {home}/dbt.starts\nexec {sys.executable} "$@"\n')
    python.chmod(0o755)
    return python


def change_product(dsn: str) -> None:
    """Raise the price of one product."""
    with psycopg.connect(dsn) as connection:
        connection.execute("UPDATE products SET price = price + 1 WHERE sku = (SELECT min(sku) FROM products)")
