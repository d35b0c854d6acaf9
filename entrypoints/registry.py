"""Which kinds of systems there are: one line for each, naming the module whose ``build`` makes it.

Modules are imported when the container builds a system, never earlier.
"""

from __future__ import annotations

import attrs


@attrs.frozen
class Kind:
    """``module`` has a function ``build``; ``extra`` is the extra of the distribution that its drivers come with.

    ``has_log``: of a source, whether it keeps a log that all of its streams are read from together; else each stream is
    a group of its own.
    """

    module: str
    extra: str = ""
    has_log: bool = False


SOURCES: dict[str, Kind] = {
    "files": Kind("adapters.sources.files"),
    "postgres": Kind("adapters.sources.postgres", has_log=True),
    "rest": Kind("adapters.sources.rest", extra="rest"),
    "sql": Kind("adapters.sources.sql", extra="sql"),
}

WAREHOUSES: dict[str, Kind] = {
    "duckdb": Kind("adapters.warehouses.duckdb"),
    "memory": Kind("adapters.warehouses.memory"),
    "snowflake": Kind("adapters.warehouses.snowflake", extra="snowflake"),
}

TRANSFORMERS: dict[str, Kind] = {
    "dbt": Kind("adapters.transform"),
}
