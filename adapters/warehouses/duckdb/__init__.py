"""The embedded warehouse: DuckDB in one file."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.domain.errors import ConfigError, Missing

if TYPE_CHECKING:
    from adapters.warehouses.duckdb.warehouse import DuckDBWarehouse

#: How long to wait for a file that another process holds, unless ``wait_s`` says otherwise.
WAIT_S = 30.0

#: Options that are handed to DuckDB, and what they are without being told. A write has work for two threads at most,
#: and each takes memory.
SETTINGS: dict[str, str | None] = {
    "memory_limit": "192MB",
    "threads": str(min(2, os.cpu_count() or 1)),
    "temp_directory": None,
}


def build(name: str, options: Mapping[str, object], *, pipeline: str = "") -> DuckDBWarehouse:
    """The warehouse in the file that the option ``path`` names; nothing is opened yet.

    ``memory_limit``, ``threads`` and ``temp_directory`` are DuckDB's settings; ``wait_s`` is how long to wait for a
    file that another process holds. Raises ``ConfigError`` for options that do not exist, ``Missing`` without duckdb.
    """
    unknown = sorted(set(options) - {"path", "wait_s", *SETTINGS})
    if unknown or not options.get("path"):
        problem = f"unknown options {', '.join(unknown)}" if unknown else "the option path is missing"
        known = ", ".join(["path", "wait_s", *SETTINGS])
        raise ConfigError(f"{problem}", where=f"warehouse {name}", hint=f"Options are {known}.")
    try:
        from adapters.warehouses.duckdb.connection import Database
        from adapters.warehouses.duckdb.warehouse import DuckDBWarehouse
    except ImportError as error:
        raise Missing("the warehouse needs duckdb", where=f"warehouse {name}", hint="Install duckdb.") from error
    settings = {
        key: str(options.get(key) or default) for key, default in SETTINGS.items() if options.get(key) or default
    }
    wait_s = float(str(options.get("wait_s", WAIT_S)))
    return DuckDBWarehouse(Database(Path(str(options["path"])).expanduser(), settings=settings, wait_s=wait_s))
