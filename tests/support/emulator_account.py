"""Gaps of the emulator that looking at an account meets, mended in fakesnow by ``install``: it has one warehouse and no
grants, so a session has that warehouse and may not see grants.
"""

from __future__ import annotations

import re
from typing import Any

_CURRENT_WAREHOUSE = re.compile(r"\bCURRENT_WAREHOUSE\(\)", re.IGNORECASE)
_GRANTS = re.compile(r"\s*SHOW\s+GRANTS\b", re.IGNORECASE)


def install() -> None:
    """Mend fakesnow in this process; once, before it serves."""
    from fakesnow.cursor import FakeSnowflakeCursor
    from snowflake.connector.errors import ProgrammingError

    execute = FakeSnowflakeCursor.execute

    def execute_mended(self: Any, command: str, *arguments: Any, **options: Any) -> Any:
        if _GRANTS.match(command):
            raise ProgrammingError("there are no grants here", errno=3001, sqlstate="42501")
        return execute(self, _CURRENT_WAREHOUSE.sub("'FAKESNOW_WAREHOUSE'", command), *arguments, **options)

    FakeSnowflakeCursor.execute = execute_mended  # type: ignore[method-assign] # that is what mending is
