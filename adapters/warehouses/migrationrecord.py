"""What is recorded of migrations, and by what a table is known that one of them made; the same on every warehouse.

Carrying them out is each warehouse adapter's.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import assert_never

from pipeline.domain import naming
from pipeline.domain.loading import AddColumn, ChangeType, DropColumn, RenameColumn, SchemaChange
from pipeline.domain.schema import Column
from pipeline.domain.tables import LOAD

#: The schemas in which a stream has tables, each with a column that every table made there has.
MARKS = {naming.STAGING: LOAD, naming.CHANGELOG: LOAD, naming.QUARANTINE: "quarantined_at"}


def phrase(change: SchemaChange, column_type: Callable[[Column], str]) -> str:
    """The step as it is recorded, with types as the warehouse has them."""
    match change:
        case AddColumn(column):
            return f"add column {column.name} {column_type(column)}"
        case ChangeType(column):
            return f"change type of {column.name} to {column_type(column)}"
        case RenameColumn(name, column):
            return f"rename column {name} to {column.name}"
        case DropColumn(name):
            return f"keep dropped column {name}"
        case _:
            assert_never(change)
