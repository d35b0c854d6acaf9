"""Which kinds of systems there are: one line for each, naming the module whose ``build`` makes it.

Modules are imported when the container builds a system, never earlier.
"""

from __future__ import annotations

import attrs


@attrs.frozen
class Kind:
    """``module`` has a function ``build``; ``extra`` is the extra of the distribution that its drivers come with."""

    module: str
    extra: str = ""


SOURCES: dict[str, Kind] = {
    "postgres": Kind("adapters.sources.postgres"),
}

WAREHOUSES: dict[str, Kind] = {
    "duckdb": Kind("adapters.warehouses.duckdb"),
    "memory": Kind("adapters.warehouses.memory"),
    "snowflake": Kind("adapters.warehouses.snowflake", extra="snowflake"),
}

TRANSFORMERS: dict[str, Kind] = {
    "dbt": Kind("adapters.transform"),
}
