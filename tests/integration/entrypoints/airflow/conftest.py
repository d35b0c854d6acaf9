"""The shop, its partners and an Airflow for the tests of a file; each file gets its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from entrypoints.demo.partners import Partners
from entrypoints.demo.server import EmbeddedPostgres
from tests.support.airflow_shop import SHOP_FILE, airflow_environment, create_small_shop, write_pipeline
from tests.support.dag_runner import DagRunner


@pytest.fixture(scope="module")
def shop() -> Iterator[str]:
    with EmbeddedPostgres() as server:
        create_small_shop(server.dsn())
        yield server.dsn("shop")


@pytest.fixture(scope="module")
def partners(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Partners]:
    with Partners(tmp_path_factory.mktemp("suppliers")) as partners:
        yield partners


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("airflow") / "home"


@pytest.fixture(scope="module")
def environment(home: Path, shop: str, partners: Partners) -> dict[str, str]:
    """Airflow's, with the shop's pipeline file in its home."""
    environment = airflow_environment(home, {"SHOP_DSN": shop, **partners.environment})
    write_pipeline(home, "shop", SHOP_FILE.read_text())
    return environment


@pytest.fixture(scope="module")
def airflow(environment: dict[str, str]) -> Iterator[DagRunner]:
    with DagRunner(environment) as runner:
        yield runner
