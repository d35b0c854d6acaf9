"""Whole tables as plain values, so that two of them can be compared whatever the order of their rows."""

from __future__ import annotations

from collections.abc import Collection

import pyarrow as pa

from adapters.warehouses.memory.rows import decode


def content(table: pa.Table, *, without: Collection[str] = ()) -> tuple[list[str], list[tuple[str, ...]]]:
    """Names with types, and all rows as exact texts in a fixed order: ``-0.0`` is not ``0.0``, NaN is NaN."""
    kept = table.select([name for name in table.column_names if name not in without])
    fields = [f"{field.name}: {field.type}" for field in kept.schema]
    columns = [[repr(value) for value in decode(column)] for column in kept.columns]
    return fields, sorted(zip(*columns, strict=True))


def content_of_equal_zeros(table: pa.Table) -> tuple[list[str], list[tuple[str, ...]]]:
    """The same with ``-0.0`` as ``0.0``: an update from one to the other makes no version."""
    fields, rows = content(table)
    return fields, sorted(tuple("0.0" if text == "-0.0" else text for text in row) for row in rows)
