"""The account keeps every promise of the warehouse port."""

from __future__ import annotations

import pytest

from tests.conformance.warehouse import WarehouseConformance
from tests.conformance.warehouse_fences import WarehouseFencesConformance
from tests.conformance.warehouse_ground import WarehouseHarness
from tests.conformance.warehouse_migrations import WarehouseMigrationsConformance
from tests.conformance.warehouse_modes import WarehouseModesConformance
from tests.conformance.warehouse_rows import WarehouseRowsConformance
from tests.integration.warehouses.snowflake.test_conformance import SnowflakeHarness
from tests.real_snowflake.account import Account


class _OnAccount:
    @pytest.fixture
    def harness(self, account: Account, database: str) -> WarehouseHarness:
        return SnowflakeHarness(account.warehouse_options(database))


class TestAccount(_OnAccount, WarehouseConformance):
    """Checkpoints, bookmarks, groups, transactions, the audit."""


class TestAccountFences(_OnAccount, WarehouseFencesConformance):
    """Writers that were overtaken."""


class TestAccountMigrations(_OnAccount, WarehouseMigrationsConformance):
    """Tables made and altered."""


class TestAccountModes(_OnAccount, WarehouseModesConformance):
    """Loading by mode."""


class TestAccountRows(_OnAccount, WarehouseRowsConformance):
    """Values, names, quarantine, comparing."""
