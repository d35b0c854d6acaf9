"""The shop's staging tables and changelogs in Snowflake, copied as they are from the DuckDB file of ``shop_warehouse``.

So dbt finds the same rows in both warehouses; how the pipeline loads them is told and tested elsewhere.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from types import TracebackType
from typing import Any

import duckdb

from tests.support.shop_warehouse import COLUMNS, PARTNERS, ShopWarehouse

#: Types that have another name in Snowflake, or none.
_TYPES = {
    "BIGINT": "NUMBER(38, 0)",
    "INTEGER": "NUMBER(38, 0)",
    "JSON": "VARIANT",
    "VARCHAR[]": "ARRAY",
    "TIMESTAMP WITH TIME ZONE": "TIMESTAMP_TZ(6)",
}


class SnowflakeShop:
    """A session with the service; ``options`` are those of a Snowflake warehouse. Use it as a context manager."""

    def __init__(self, options: Mapping[str, Any]) -> None:
        # Inside, since importing it takes seconds.
        import snowflake.connector

        self._connection = snowflake.connector.connect(
            **options, schema="PUBLIC", session_parameters={"CLIENT_OUT_OF_BAND_TELEMETRY_ENABLED": False}
        )

    def __enter__(self) -> SnowflakeShop:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._connection.close()

    def copy(self, shop: ShopWarehouse, tables: Collection[str] = tuple(COLUMNS)) -> None:
        """Make these tables equal to those of the file, whatever they held."""
        with duckdb.connect(str(shop.path)) as file:
            file.execute("SET TimeZone = 'UTC'")
            for schema in ("staging", "changelog"):
                self.query(f"CREATE SCHEMA IF NOT EXISTS {schema}")
                for table in tables:
                    self._copy(file, f"{schema}.shop__{table}")
            for table in PARTNERS:
                self._copy(file, f"staging.{table}")

    def query(self, sql: str, values: Collection[Any] = ()) -> list[tuple[Any, ...]]:
        """All rows of a statement's result."""
        with self._connection.cursor() as cursor:
            return list(cursor.execute(sql, values or None).fetchall())

    def marts(self) -> dict[str, list[tuple[Any, ...]]]:
        """As ``ShopWarehouse.marts``."""
        names = [
            str(name).lower()
            for (name,) in self.query(
                # Temporary tables, whose names have two underscores, do not end with their session in the emulator.
                "SELECT table_name FROM information_schema.tables WHERE table_schema = 'MARTS'"
                " AND NOT contains(table_name, '__') ORDER BY table_name"
            )
        ]
        return {name: self._mart(name) for name in names}

    def _mart(self, name: str) -> list[tuple[Any, ...]]:
        columns = [
            column
            for (column,) in self.query(
                "SELECT column_name FROM information_schema.columns WHERE table_schema = 'MARTS' AND table_name = %s"
                " AND column_name <> 'AS_OF_LOAD' ORDER BY ordinal_position",
                [name.upper()],
            )
        ]
        places = ", ".join(str(place) for place in range(1, len(columns) + 1))
        return self.query(f"SELECT {', '.join(columns)} FROM marts.{name} ORDER BY {places}")

    def _copy(self, file: duckdb.DuckDBPyConnection, name: str) -> None:
        columns = [(column, _type(column, kind)) for column, kind, *_ in file.execute(f"DESCRIBE {name}").fetchall()]
        self.query(f"CREATE OR REPLACE TABLE {name} ({', '.join(f'{column} {kind}' for column, kind in columns)})")
        texts = [_text(column, kind) for column, kind in columns]
        rows = file.execute(f"SELECT {', '.join(texts)} FROM {name}").fetchall()
        if rows:
            values = [_value(place, kind) for place, (_, kind) in enumerate(columns, 1)]
            places = ", ".join([f"({', '.join(['%s'] * len(columns))})"] * len(rows))
            self.query(
                f"INSERT INTO {name} SELECT {', '.join(values)} FROM VALUES {places}",
                [cell for row in rows for cell in row],
            )


def _type(column: str, kind: str) -> str:
    return "VARCHAR" if column == "_cdc_old_key" else _TYPES.get(kind, kind)


def _text(column: str, kind: str) -> str:
    if kind in {"VARIANT", "ARRAY"}:
        return f"CAST(to_json({column}) AS VARCHAR)"
    if kind == "FLOAT":  # Snowflake's has 64 bits: the digits of the exact value
        return f"CAST(CAST({column} AS DOUBLE) AS VARCHAR)"
    return f"CAST({column} AS VARCHAR)"


def _value(place: int, kind: str) -> str:
    text = f"column{place}"
    return f"CAST({f'PARSE_JSON({text})' if kind in {'VARIANT', 'ARRAY'} else text} AS {kind})"
