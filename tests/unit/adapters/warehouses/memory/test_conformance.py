"""The memory warehouse keeps every obligation of the port."""

from __future__ import annotations

import pytest

from adapters.warehouses.memory import MemoryWarehouse
from adapters.warehouses.memory.store import Store
from tests.conformance.warehouse import WarehouseConformance, WarehouseHarness
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
    """Checkpoints, transactions, fences, migrations and the audit."""


class TestModes(_InMemory, WarehouseModesConformance):
    """Mirror, soft delete, history and append."""


class TestRows(_InMemory, WarehouseRowsConformance):
    """Values, names, quarantine and comparing."""
