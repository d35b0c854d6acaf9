"""Snowflake as the warehouse: files on an internal stage, loaded in one transaction per batch."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from typing import TYPE_CHECKING

from adapters.warehouses.snowflake.options import parse
from pipeline.domain.errors import Missing

if TYPE_CHECKING:
    from adapters.warehouses.snowflake.warehouse import SnowflakeWarehouse


def build(name: str, options: Mapping[str, object], *, pipeline: str = "") -> SnowflakeWarehouse:
    """The warehouse that the options name; nothing is connected yet, and the connector is not even imported. The query
    history shows for which pipeline it works.

    Raises ``ConfigError`` for options that are wrong, ``Missing`` without the connector.
    """
    parsed = parse(name, options)
    if find_spec("snowflake") is None or find_spec("snowflake.connector") is None:
        raise Missing(
            "the warehouse needs snowflake-connector-python",
            where=f"warehouse {name}",
            hint="Install it with: pip install 'realtime-data-pipeline[snowflake]'",
        )
    from adapters.warehouses.snowflake.warehouse import SnowflakeWarehouse

    return SnowflakeWarehouse(parsed, pipeline=pipeline)
