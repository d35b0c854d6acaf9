"""The account keeps every promise of the warehouse port."""

from __future__ import annotations

import pytest

from adapters.warehouses.snowflake import build
from adapters.warehouses.snowflake.statement import Statement, qualified, quote
from pipeline.domain.naming import STAGING
from pipeline.ports.warehouse import Warehouse
from tests.conformance.warehouse import WarehouseConformance, WarehouseHarness
from tests.conformance.warehouse_modes import WarehouseModesConformance
from tests.conformance.warehouse_rows import WarehouseRowsConformance
from tests.real_snowflake.account import Account


class AccountHarness(WarehouseHarness):
    """Warehouses over one fresh database."""

    def __init__(self, account: Account, database: str) -> None:
        self._account = account
        self._database = database

    def open(self) -> Warehouse:
        return build("warehouse", self._account.warehouse_options(self._database))

    def make_foreign(self, table: str) -> None:
        with self._account.session(self._database) as session:
            session.execute(Statement(f"CREATE SCHEMA IF NOT EXISTS {quote(STAGING)}"))
            session.execute(Statement(f"CREATE TABLE {qualified(STAGING, table)} (ID INTEGER)"))


class _OnAccount:
    @pytest.fixture
    def harness(self, account: Account, database: str) -> WarehouseHarness:
        return AccountHarness(account, database)


class TestAccount(_OnAccount, WarehouseConformance):
    """Checkpoints, transactions, migrations."""


class TestAccountModes(_OnAccount, WarehouseModesConformance):
    """Loading by mode."""


class TestAccountRows(_OnAccount, WarehouseRowsConformance):
    """Values, names, quarantine, comparing."""
