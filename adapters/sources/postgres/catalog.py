"""Tables, columns and types as PostgreSQL's catalog describes them now.

What they become as streams is ``streams``' and ``tracking``'s work.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

import attrs

from adapters.sources.postgres import sql
from adapters.sources.postgres.connection import Row, Session
from adapters.sources.postgres.relation import SourceColumn
from adapters.sources.postgres.sql import RelationName

#: pg_class.relkind in words.
KINDS = {"r": "table", "p": "partitioned table", "v": "view", "m": "materialized view", "f": "foreign table"}


@attrs.frozen
class Table:
    """A relation. ``identity`` is pg_class.relreplident; ``primary`` and ``indexed`` are the attnums of the primary
    key and of the replica identity index; ``root_oid`` the topmost partitioned table, its own oid if there is none.
    ``columns`` leaves out dropped ones, whose attnums are in ``dropped``.
    """

    oid: int
    name: RelationName
    kind: str
    persistence: str
    identity: str
    is_partition: bool
    root_oid: int
    is_secured: bool
    is_readable: bool
    estimated_count: int | None
    byte_count: int
    primary: tuple[int, ...]
    indexed: tuple[int, ...]
    has_toast: bool
    columns: tuple[SourceColumn, ...] = ()
    dropped: frozenset[int] = frozenset()

    @property
    def key(self) -> tuple[int, ...]:
        """The attnums of the key: what deletes carry under the replica identity, else the primary key."""
        return self.indexed if self.identity == "i" else self.primary

    @property
    def can_log_deletes(self) -> bool:
        """Whether PostgreSQL would let updates and deletes of it be published (A13)."""
        identified = {"f": True, "n": False, "i": bool(self.indexed), "d": bool(self.primary)}
        return identified.get(self.identity, False)

    def column(self, attnum: int) -> SourceColumn:
        """The column with a number; raises ``KeyError``."""
        for column in self.columns:
            if column.attnum == attnum:
                return column
        raise KeyError(attnum)


class Catalog:
    """Reads the catalog; keeps nothing but types, which do not change under their oid."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._types: dict[tuple[int, int], SourceColumn | None] = {}

    def named(self, names: Iterable[RelationName]) -> dict[RelationName, Table]:
        """The tables called so, with their columns; those that do not exist are absent."""
        wanted = sorted(set(names))
        rows = self._session.rows(
            sql.RELATIONS + sql.BY_NAME, [name.namespace for name in wanted], [name.name for name in wanted]
        )
        return {table.name: table for table in self._with_columns(rows)}

    def by_oid(self, oids: Collection[int]) -> dict[int, Table]:
        """The tables with these oids, with their columns."""
        rows = self._session.rows(sql.RELATIONS + sql.BY_OID, list(oids))
        return {table.oid: table for table in self._with_columns(rows)}

    def all(self) -> list[Table]:
        """Every relation of the users' schemas, with its columns, in order of name."""
        return self._with_columns(self._session.rows(sql.RELATIONS + sql.ALL))

    def estimate(self, oid: int) -> int | None:
        """The planner's guess of a table's rows, partitions counted; None before it was analysed."""
        guess = self._session.value(sql.ESTIMATE, oid, oid)
        return None if guess is None or guess < 0 else int(guess)

    def leaves(self, oid: int) -> frozenset[int]:
        """The oids of the tables that hold a partitioned table's rows; its own if it has no partitions."""
        return frozenset(row[0] for row in self._session.rows(sql.LEAVES, oid))

    def typed(self, name: str, type_oid: int, typmod: int) -> SourceColumn:
        """A column of that type that the catalog no longer has; a type that is gone reads as text."""
        if (type_oid, typmod) not in self._types:
            rows = self._session.rows(sql.TYPE, typmod, typmod, type_oid)
            self._types[type_oid, typmod] = _of_type(type_oid, typmod, rows[0]) if rows else None
        known = self._types[type_oid, typmod]
        if known is None:
            return SourceColumn(name, 0, 25, -1, "text", "text", base_oid=25, base_name="text")
        return attrs.evolve(known, name=name)

    def _with_columns(self, rows: list[Row]) -> list[Table]:
        tables = [_table(row) for row in rows]
        columns: dict[int, list[Row]] = {table.oid: [] for table in tables}
        for row in self._session.rows(sql.COLUMNS, list(columns)):
            columns[row[0]].append(row)
        return [
            attrs.evolve(
                table,
                columns=tuple(_column(row) for row in columns[table.oid] if not row[16]),
                dropped=frozenset(row[2] for row in columns[table.oid] if row[16]),
            )
            for table in tables
        ]


def _table(row: Row) -> Table:
    return Table(
        oid=row[0],
        name=RelationName(row[1], row[2]),
        kind=row[3],
        persistence=row[4],
        identity=row[5],
        is_partition=row[6],
        root_oid=row[7],
        is_secured=row[8],
        is_readable=row[9],
        estimated_count=row[10] if row[10] >= 0 else None,
        byte_count=row[11] or 0,
        primary=tuple(row[12] or ()),
        indexed=tuple(row[13] or ()),
        has_toast=row[14],
    )


def _column(row: Row) -> SourceColumn:
    return SourceColumn(
        name=row[1],
        attnum=row[2],
        type_oid=row[3],
        typmod=row[4],
        type_text=row[5],
        type_name=row[6],
        type_kind=row[7],
        base_oid=row[8],
        base_name=row[9],
        base_typmod=row[10],
        element_oid=row[11],
        element_name=row[12],
        not_null=row[13],
        generated=row[14],
        default_text=row[15],
        fills_old_rows=row[17],
    )


def _of_type(type_oid: int, typmod: int, row: Row) -> SourceColumn:
    return SourceColumn(
        name="",
        attnum=0,
        type_oid=type_oid,
        typmod=typmod,
        type_text=row[0],
        type_name=row[1],
        type_kind=row[2],
        base_oid=row[3],
        base_name=row[4],
        base_typmod=row[5],
        element_oid=row[6],
        element_name=row[7],
    )
