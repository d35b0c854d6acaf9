"""Columns and schemas of streams, in Arrow types.

How a source's types become Arrow types is the source adapter's table; how Arrow types become a warehouse's is the
warehouse adapter's.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import attrs
import pyarrow as pa


def _columns(columns: Iterable[Column]) -> tuple[Column, ...]:
    return tuple(columns)


def _names(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(names)


@attrs.frozen
class Column:
    """One column of a stream.

    ``name`` is the name in the warehouse (see ``naming``), ``source_name`` the one in the source. ``source_type`` is
    the type as the source spells it, for people. ``json`` marks a string column whose text is a JSON document.
    ``source_id`` is the source's stable identity of the column (PostgreSQL's attnum), by which a rename is told from
    a drop and an add. ``default`` is the value, of ``type``, that rows written before the column existed show.
    ``fills_old_rows`` says that, added to a table with rows, the source gave each of them a value that neither the
    default nor the log tells. ``dropped`` marks a column of a warehouse table that the source no longer has.
    """

    name: str
    type: pa.DataType
    nullable: bool = True
    source_name: str = ""
    source_type: str = ""
    json: bool = False
    source_id: int | None = None
    default: pa.Scalar | None = attrs.field(default=None, eq=lambda s: None if s is None else (str(s.type), s.as_py()))
    fills_old_rows: bool = attrs.field(default=False, eq=False)
    dropped: bool = False

    def __attrs_post_init__(self) -> None:
        if not self.source_name:
            object.__setattr__(self, "source_name", self.name)


@attrs.frozen
class StreamSchema:
    """The columns of a stream in order, and the names of those that form its key (empty: no key, append only)."""

    columns: tuple[Column, ...] = attrs.field(converter=_columns)
    key: tuple[str, ...] = attrs.field(converter=_names, default=())

    def __attrs_post_init__(self) -> None:
        missing = [name for name in self.key if name not in self.names]
        if missing:
            raise ValueError(f"key columns {missing} are not among the columns {list(self.names)}")

    @property
    def names(self) -> tuple[str, ...]:
        """The column names in order."""
        return tuple(column.name for column in self.columns)

    def column(self, name: str) -> Column:
        """The column called ``name``; raises ``KeyError``."""
        for column in self.columns:
            if column.name == name:
                return column
        raise KeyError(name)

    def arrow(self) -> pa.Schema:
        """The data columns as an Arrow schema, every field nullable (a delete carries only its key)."""
        return pa.schema([pa.field(column.name, column.type) for column in self.columns])

    def key_type(self) -> pa.StructType:
        """The key columns as an Arrow struct type."""
        return pa.struct([pa.field(name, self.column(name).type) for name in self.key])

    def with_columns(self, columns: Sequence[Column]) -> StreamSchema:
        """The same key over other columns."""
        return attrs.evolve(self, columns=tuple(columns))
