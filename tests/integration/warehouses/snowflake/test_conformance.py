"""Snowflake keeps every promise of the warehouse port, as far as an emulator can tell."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest

from adapters.warehouses.snowflake import build
from adapters.warehouses.snowflake.options import parse
from adapters.warehouses.snowflake.session import open_session
from adapters.warehouses.snowflake.statement import Statement, qualified, quote
from pipeline.domain.naming import STAGING
from pipeline.ports.warehouse import Warehouse
from tests.conformance.warehouse import WarehouseConformance
from tests.conformance.warehouse_fences import WarehouseFencesConformance
from tests.conformance.warehouse_ground import WarehouseHarness
from tests.conformance.warehouse_migrations import WarehouseMigrationsConformance
from tests.conformance.warehouse_modes import WarehouseModesConformance
from tests.conformance.warehouse_rows import WarehouseRowsConformance
from tests.support.emulator import Emulator


class SnowflakeHarness(WarehouseHarness):
    """Warehouses over one database of the emulator."""

    def __init__(self, options: dict[str, object]) -> None:
        self._options = options

    def open(self) -> Warehouse:
        return build("warehouse", self._options)

    def make_foreign(self, table: str) -> None:
        session = open_session(parse("warehouse", self._options))
        session.execute(Statement(f"CREATE SCHEMA IF NOT EXISTS {quote(STAGING)}"))
        session.execute(Statement(f'CREATE TABLE {qualified(STAGING, table)} ("ID" INTEGER)'))
        session.close()

    def document(self, text: str | None) -> object:
        """VARIANT keeps values with all their digits; blanks, the order of members and zeros at the end are gone."""
        return None if text is None else ("document", json.loads(text, parse_float=Decimal, parse_int=Decimal))


class _OnSnowflake:
    @pytest.fixture
    def harness(self, emulator: Emulator, database: str) -> WarehouseHarness:
        return SnowflakeHarness(emulator.options(database))


class TestSnowflake(_OnSnowflake, WarehouseConformance):
    """Checkpoints, bookmarks, groups, transactions, the audit."""


class TestSnowflakeFences(_OnSnowflake, WarehouseFencesConformance):
    """Writers that were overtaken."""


class TestSnowflakeMigrations(_OnSnowflake, WarehouseMigrationsConformance):
    """Tables made and altered."""


class TestSnowflakeModes(_OnSnowflake, WarehouseModesConformance):
    """Loading by mode."""


class TestSnowflakeRows(_OnSnowflake, WarehouseRowsConformance):
    """Values, names, quarantine, comparing."""
