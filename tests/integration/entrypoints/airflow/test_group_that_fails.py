"""An API that is away, or whose credentials are, among sources that are there: only its own group fails, and people are
told once.
"""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from entrypoints.demo.partners import Partners
from tests.support.airflow_home import shop_file
from tests.support.airflow_shop import ALL_GOOD, FLAT, LOADS, OF_PRODUCTS, change_product, write_pipeline
from tests.support.dag_runner import DagRunner

pytestmark = [pytest.mark.integration, pytest.mark.slow(seconds=240)]

AWAY = {"SHOP_RATES_URL": "http://127.0.0.1:1"}
#: Its address is not set, or is none.
UNSET, WRONG = {"SHOP_RATES_URL": ""}, {"SHOP_RATES_URL": "rates"}
FAILED = {"load fx__rates": "failed", "all_loaded": "upstream_failed"}
#: What a change of a product and a new list of prices give events.
TOLD = sorted([*OF_PRODUCTS, "shop/staging/prices"])


@pytest.fixture(scope="module")
def loaded(airflow: DagRunner, home: Path) -> None:
    """Everything is in the warehouse, once."""
    write_pipeline(home, "shop", shop_file(airflow="{retries: 0, verify: [products, rates]}"))
    first, output = airflow.run("shop")
    assert (first["state"], first["tasks"]) == ("success", FLAT), output[-4000:]


@pytest.mark.usefixtures("loaded")
def test_the_others_are_loaded_and_marts_built_from_them_and_the_run_fails_in_the_end(
    airflow: DagRunner, home: Path, shop: str, partners: Partners
) -> None:
    change_product(shop)
    partners.prices.move()
    result, output = airflow.run("shop", AWAY)
    assert (result["state"], result["tasks"]) == ("failed", FLAT | FAILED), output[-4000:]
    assert sorted(result["events"]) == TOLD
    assert output.count("alert raised") == 1
    assert "task load of fx__rates failed after 1 attempts" in output

    with duckdb.connect(str(home / "var/demo/shop.duckdb"), read_only=True) as connection:
        [(load,)] = connection.execute("SELECT max(load) FROM pipeline.loads").fetchall()
        transformed = connection.execute("SELECT max(load) FROM pipeline.transforms").fetchall()
    assert transformed == [(load,)]


@pytest.mark.usefixtures("loaded")
@pytest.mark.parametrize(
    ("held", "said"), [(UNSET, "the environment variable SHOP_RATES_URL is not set"), (WRONG, "source fx: url")]
)
def test_a_credential_that_is_missing_or_wrong_fails_its_own_group_alone(
    airflow: DagRunner, shop: str, held: dict[str, str], said: str
) -> None:
    change_product(shop)
    result, output = airflow.run("shop", held)
    assert (result["state"], result["tasks"]) == ("failed", FLAT | FAILED), output[-4000:]
    assert set(OF_PRODUCTS) <= set(result["events"])
    assert output.count("alert raised") == 1
    assert said in output


@pytest.mark.usefixtures("loaded")
def test_a_stream_that_is_to_be_copied_again_needs_its_credential_at_once(airflow: DagRunner) -> None:
    result, output = airflow.run("shop", UNSET, resync=["rates"])
    assert (result["state"], result["tasks"]["decide"]) == ("failed", "failed")
    assert "the environment variable SHOP_RATES_URL is not set" in output


@pytest.mark.usefixtures("loaded")
def test_where_nothing_could_be_loaded_nothing_is_built(airflow: DagRunner, home: Path) -> None:
    lost = {**AWAY, "SHOP_DSN": "postgresql://app@127.0.0.1:1/shop", "SHOP_PRICES": str(home / "gone")}
    result, output = airflow.run("shop", lost)
    not_reached = dict.fromkeys(("all_loaded", "check", "build", "verify", "publish"), "upstream_failed")
    expected = {**FLAT, **dict.fromkeys(LOADS, "failed"), **not_reached}
    assert (result["state"], result["tasks"]) == ("failed", expected), output[-4000:]
    assert output.count("alert raised") == len(LOADS)


def test_the_marts_behind_an_api_that_was_never_reached_wait_for_it_and_the_others_are_good(
    airflow: DagRunner, home: Path, shop: str
) -> None:
    text = shop_file(airflow="{retries: 0, layers: [staging, marts]}").replace("shop.duckdb", "fresh.duckdb")
    write_pipeline(home, "fresh", text.replace("${SHOP_DSN}", "${SHOP_DSN}\n    slot: fresh\n    publication: fresh"))
    result, output = airflow.run("fresh", AWAY)
    expected = {task: state for task, state in (ALL_GOOD | FAILED).items() if task != "verify"}
    assert (result["state"], result["tasks"]) == ("failed", expected), output[-4000:]
    with duckdb.connect(str(home / "var/demo/fresh.duckdb"), read_only=True) as connection:
        marts = connection.execute("SELECT table_name FROM information_schema.tables WHERE table_schema = 'marts'")
        built = {name for (name,) in marts.fetchall()}
    assert {"dim_customers", "dim_products", "fct_orders"} <= built
    assert "fct_revenue_by_currency" not in built
