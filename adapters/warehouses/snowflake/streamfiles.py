"""What a load collects of one stream, and the statements that append it to the stream's changelog.

When they are run is told in ``load``; how files get into the stage, in ``uploading``.
"""

from __future__ import annotations

from collections.abc import Callable

import attrs

from adapters.warehouses.snowflake import sql
from adapters.warehouses.snowflake.session import Session
from adapters.warehouses.snowflake.statement import Statement
from adapters.warehouses.snowflake.uploading import Growing
from pipeline.domain.errors import WarehouseError
from pipeline.domain.loading import Target


@attrs.define
class StreamFiles:
    """Files of changes, and whether a copy is under way that they fill."""

    target: Target
    changes: Growing
    is_filled_by_copy: bool = False

    def copy(self, folder: str, told: Callable[[Statement], Statement]) -> Copy:
        """Finish the files, which are in ``folder`` once they are uploaded."""
        table, files = sql.changelog(self.target), self.changes
        statements = sql.copy_files(table, files.columns, folder, files.finish())
        return Copy(table, tuple(told(each) for each in statements), files.row_count)


@attrs.frozen
class Copy:
    """The statements that append a stream's files to its changelog, and how many rows the files hold."""

    table: str
    statements: tuple[Statement, ...]
    row_count: int

    def run(self, session: Session) -> None:
        """Run them; raises ``WarehouseError`` where the service did not load every row (P3): it skips files that it
        takes for loaded before, and says nothing.
        """
        told = [row for statement in self.statements for row in session.named_rows(statement)]
        loaded_count = sum(int(row.get("rows_loaded") or 0) for row in told)
        if loaded_count != self.row_count:
            raise WarehouseError(
                f"COPY loaded {loaded_count} of {self.row_count} rows",
                where=self.table,
                hint="Run it again; nothing of the load was kept.",
                loaded_count=loaded_count,
                row_count=self.row_count,
            )
