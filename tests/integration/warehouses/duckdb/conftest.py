"""A warehouse in a DuckDB file, begun, with one table."""

from __future__ import annotations

from pathlib import Path

import pytest

from adapters.warehouses.duckdb.warehouse import DuckDBWarehouse
from pipeline.domain.loading import Migration
from tests.support.duckdb_file import BEGUN, TARGET, warehouse_at


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "folder" / "shop.duckdb"


@pytest.fixture
def warehouse(path: Path) -> DuckDBWarehouse:
    warehouse = warehouse_at(path)
    warehouse.setup("shop")
    warehouse.begin(BEGUN)
    warehouse.migrate(BEGUN, [Migration(TARGET)])
    return warehouse
