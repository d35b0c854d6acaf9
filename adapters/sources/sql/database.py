"""What reading needs of a database, whatever its dialect: columns, and views of its rows at one state.

Each dialect keeps these protocols in a module of its own; which rows are wanted is ``extractor``'s to say.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Protocol

import attrs
import pyarrow as pa
from sqlalchemy.engine.reflection import Inspector

from adapters.sources.sql.reading import Reading
from adapters.sources.sql.relation import RelationName
from pipeline.domain.change import Misfit
from pipeline.domain.schema import Column

#: Rows whose value the column's type cannot hold (int64), their texts, and the reason.
Lost = tuple[pa.Int64Array, pa.StringArray, str]


@attrs.frozen(eq=False)
class Selected:
    """A column and how it is read. ``expression`` is what is selected, as SQL; ``decode`` makes values of the column's
    type of it. ``ordered`` is what its values are compared and put in order by, as SQL; "": it can be no cursor.
    ``is_coarse``: that tells values apart less finely than they are, so that a few rows too many may come.
    """

    column: Column
    expression: str
    decode: Callable[[pa.Array], tuple[pa.Array, list[Lost]]]
    ordered: str = ""
    is_coarse: bool = False


@attrs.frozen(eq=False)
class Described:
    """What a stream reads: ``columns`` in order, and ``key``, the source's names of the primary key's columns (empty:
    it has none). ``reading`` is what was asked for.
    """

    reading: Reading
    columns: tuple[Selected, ...]
    key: tuple[str, ...] = ()

    def selected(self, source_name: str) -> Selected:
        """The column called so at the source; raises ``KeyError``."""
        for selected in self.columns:
            if selected.column.source_name == source_name:
                return selected
        raise KeyError(source_name)


@attrs.frozen(eq=False)
class Select:
    """Rows wanted of a view: ``columns`` of those that do not come before ``since`` (values of its columns in order,
    compared one after the other), or that lack one of ``since``'s columns, and lie not after ``until``; sorted by
    ``order``. ``limit`` rows at most.
    """

    described: Described
    columns: tuple[Selected, ...]
    since: tuple[tuple[Selected, pa.Scalar], ...] = ()
    until: tuple[Selected, pa.Scalar] | None = None
    order: tuple[Selected, ...] = ()
    with_nulls: bool = True
    limit: int | None = None


@attrs.frozen(eq=False)
class Fetched:
    """A piece of what was selected: a column of values each, and what did not fit."""

    table: pa.Table
    misfits: tuple[Misfit, ...] = ()


class View(Protocol):
    """The rows of a database as they are at one moment, where the database can do that; reading locks no writer out.

    Used by one thread at a time. All methods raise ``SourceUnreachable``, ``SourceRejected`` or ``SourceError``.
    """

    def now(self) -> datetime:
        """The database's clock, in UTC."""
        ...

    def read(self, select: Select) -> Iterator[Fetched]:
        """The rows, in pieces of bounded size."""
        ...

    def close(self) -> None:
        """End the transaction and close the connection. Safe to call twice."""
        ...


class Database(Protocol):
    """A database of one dialect. Built without connecting; connects on first use."""

    @property
    def where(self) -> str:
        """The database, for messages."""
        ...

    @property
    def compares_texts(self) -> bool:
        """Whether texts can be compared byte by byte, so that a column of text can be a cursor."""
        ...

    def inspector(self) -> Inspector:
        """SQLAlchemy's inspector, which sees tables as they are now."""
        ...

    def schemas(self, inspector: Inspector) -> tuple[str, ...]:
        """The schemas whose tables and views are offered as streams; "" is the database's only one, or its default."""
        ...

    def name_of(self, text: str) -> RelationName:
        """The relation that a text names, with the schema that it is looked for in."""
        ...

    def describe(self, reading: Reading, *, exclude: frozenset[str]) -> Described:
        """The columns as they are now, less those excluded. Raises ``SourceRejected`` where there is no such table."""
        ...

    def view(self) -> View:
        """A view of the rows from now on."""
        ...

    def estimate(self, name: RelationName) -> int | None:
        """A cheap guess of a table's rows, None where there is none."""
        ...

    def stamp(self, name: RelationName | None) -> str | None:
        """A short text that changes whenever rows of the table do, None where the database has nothing of the kind.
        Without a name: of anything in the database.
        """
        ...

    def close(self) -> None:
        """Close all connections. Safe to call twice."""
        ...


def fetched(select: Select, arrays: list[pa.Array], lost: list[tuple[str, Lost]]) -> Fetched:
    """Values of the columns wanted, put together."""
    fields = [pa.field(selected.column.name, selected.column.type) for selected in select.columns]
    table = pa.Table.from_arrays(arrays, schema=pa.schema(fields))
    return Fetched(table, tuple(Misfit(name, rows, texts, reason) for name, (rows, texts, reason) in lost))


def as_is(array: pa.Array) -> tuple[pa.Array, list[Lost]]:
    """Values that need no decoding."""
    return array, []
