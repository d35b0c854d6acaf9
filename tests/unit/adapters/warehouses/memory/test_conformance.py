"""The memory warehouse keeps every obligation of the port."""

from __future__ import annotations

import pytest

from adapters.warehouses.memory import MemoryWarehouse
from adapters.warehouses.memory.store import Store
from tests.conformance.warehouse import WarehouseConformance
from tests.conformance.warehouse_fences import WarehouseFencesConformance
from tests.conformance.warehouse_ground import WarehouseHarness
from tests.conformance.warehouse_migrations import WarehouseMigrationsConformance
from tests.conformance.warehouse_modes import WarehouseModesConformance
from tests.conformance.warehouse_rows import WarehouseRowsConformance


class MemoryHarness(WarehouseHarness):
    """Warehouses over one store."""

    def __init__(self) -> None:
        self._store = Store()

    def open(self) -> MemoryWarehouse:
        return MemoryWarehouse("memory", self._store)

    def make_foreign(self, table: str) -> None:
        self._store.foreign.add(table)


class _InMemory:
    @pytest.fixture
    def harness(self) -> MemoryHarness:
        return MemoryHarness()


class TestConformance(_InMemory, WarehouseConformance):
    """Checkpoints, bookmarks, groups, transactions, the audit."""


class TestFences(_InMemory, WarehouseFencesConformance):
    """Writers that were overtaken."""


class TestMigrations(_InMemory, WarehouseMigrationsConformance):
    """Tables made and altered."""


class TestModes(_InMemory, WarehouseModesConformance):
    """Mirror, soft delete, history and append."""


class TestRows(_InMemory, WarehouseRowsConformance):
    """Values, names, quarantine and comparing."""
