"""One warm dbt over a copy of the project, and a fresh warehouse file for whoever asks."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from adapters.transform import build
from adapters.transform.transformer import DbtTransformer
from pipeline.domain.stream import SystemSpec
from tests.support.shop_warehouse import ShopWarehouse

PROJECT = Path(__file__).resolve().parents[3] / "dbt"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("transform")


@pytest.fixture(scope="module")
def project(folder: Path) -> Path:
    """A copy that tests may change; ``unchanged`` puts it back."""
    return Path(shutil.copytree(PROJECT, folder / "dbt"))


@pytest.fixture(scope="module")
def transformer(folder: Path, project: Path) -> Iterator[DbtTransformer]:
    warehouse = SystemSpec("duckdb", "warehouse", {"path": str(folder / "warehouse.duckdb")})
    options = {"warehouse": warehouse, "project": str(project), "work": str(folder / "work"), "lock_timeout_s": 20}
    running = build("dbt", options)
    yield running
    running.close()


@pytest.fixture
def warehouse(folder: Path, project: Path) -> Iterator[ShopWarehouse]:
    """The shop as it was first copied, 40 orders, no marts yet; the project is put back afterwards."""
    path = folder / "warehouse.duckdb"
    path.unlink(missing_ok=True)
    shop = ShopWarehouse(path)
    shop.create(orders=40)
    yield shop
    shutil.copytree(PROJECT, project, dirs_exist_ok=True)
