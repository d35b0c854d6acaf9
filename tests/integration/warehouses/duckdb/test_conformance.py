"""DuckDB keeps every promise of the warehouse port."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from adapters.warehouses.duckdb import build
from pipeline.ports.warehouse import Warehouse
from tests.conformance.warehouse import WarehouseConformance
from tests.conformance.warehouse_fences import WarehouseFencesConformance
from tests.conformance.warehouse_ground import WarehouseHarness
from tests.conformance.warehouse_migrations import WarehouseMigrationsConformance
from tests.conformance.warehouse_modes import WarehouseModesConformance
from tests.conformance.warehouse_rows import WarehouseRowsConformance


class DuckDBHarness(WarehouseHarness):
    """Warehouses over one file."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def open(self) -> Warehouse:
        return build("warehouse", {"path": str(self._path), "wait_s": 5})

    def make_foreign(self, table: str) -> None:
        with duckdb.connect(str(self._path)) as connection:
            connection.execute("CREATE SCHEMA IF NOT EXISTS staging")
            connection.execute(f'CREATE TABLE staging."{table}" (id INTEGER)')


class _OnDuckDB:
    @pytest.fixture
    def harness(self, tmp_path: Path) -> WarehouseHarness:
        return DuckDBHarness(tmp_path / "shop.duckdb")


class TestDuckDB(_OnDuckDB, WarehouseConformance):
    """Checkpoints, bookmarks, groups, transactions, the audit."""


class TestDuckDBFences(_OnDuckDB, WarehouseFencesConformance):
    """Writers that were overtaken."""


class TestDuckDBMigrations(_OnDuckDB, WarehouseMigrationsConformance):
    """Tables made and altered."""


class TestDuckDBModes(_OnDuckDB, WarehouseModesConformance):
    """Loading by mode."""


class TestDuckDBRows(_OnDuckDB, WarehouseRowsConformance):
    """Values, names, quarantine, comparing."""
