"""What a Relation message of the log means for a stream: which one it is, and its columns at that point of the log.

The log may be several versions behind the catalog, or a table may have been renamed, dropped or made anew meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import attrs

from adapters.sources.postgres.catalog import Catalog, Table
from adapters.sources.postgres.relation import LoggedColumn, RelationMessage, SourceColumn, TrackedRelation
from adapters.sources.postgres.sql import RelationName
from adapters.sources.postgres.streams import Capture, Selection, columns_of
from pipeline.domain.errors import SchemaRefused
from pipeline.domain.schema import Column, StreamSchema
from pipeline.domain.stream import Mode


@attrs.frozen
class Tracked:
    """A stream as captured when reading began; ``since`` is the LSN of its consistent point, ``entry`` the oid of its
    table's own entry in the publication, None without one.
    """

    capture: Capture
    selection: Selection
    since: int
    entry: int | None


class Tracker:
    """Resolves Relation messages; asks the catalog for each, since one comes after every change of a table, and after
    one of its publication: ``entries`` gives the oid of each table's entry as it is now.
    """

    def __init__(
        self, catalog: Catalog, streams: Mapping[str, Tracked], *, entries: Callable[[], Mapping[int, int]]
    ) -> None:
        self._catalog = catalog
        self._entries = entries
        self._by_oid = {tracked.capture.table.oid: tracked for tracked in streams.values()}
        self._by_name = {tracked.capture.table.name: tracked for tracked in streams.values()}
        self._schemas = {name: tracked.capture.schema for name, tracked in streams.items()}

    def resolve(self, message: RelationMessage) -> TrackedRelation | None:
        """The stream that a relation feeds, None if none; ``SchemaRefused`` where it can no longer be captured."""
        tables = self._catalog.by_oid([message.oid])
        table = tables.get(message.oid)
        tracked = self._tracked(message, table)
        if tracked is None:
            return None
        stream = tracked.capture.spec.name
        if table is None or table.oid != tracked.capture.table.oid:
            table = self._catalog.by_oid([tracked.capture.table.oid]).get(tracked.capture.table.oid)
        columns = self._columns(message, tracked, table)
        taken = [column for column in columns if column is not None]
        schema = StreamSchema(tuple(taken), self._key(message, tracked, columns, table))
        if schema == self._schemas[stream]:
            schema = self._schemas[stream]
        self._schemas[stream] = schema
        own = tracked.capture.table.oid
        if tracked.entry is not None and self._entries().get(own) != tracked.entry:
            raise another_table(tracked.capture)
        return TrackedRelation(
            stream=stream,
            schema=schema,
            columns=tuple(columns),
            since=tracked.since,
            leaves=frozenset() if message.oid == own else self._catalog.leaves(own),
        )

    def _tracked(self, message: RelationMessage, table: Table | None) -> Tracked | None:
        tracked = self._by_oid.get(message.oid)
        if tracked is not None:
            return tracked
        if table is not None and table.root_oid in self._by_oid:
            return self._by_oid[table.root_oid]
        same = self._by_name.get(RelationName(message.namespace, message.name))
        if same is not None and not self._has_its_name(same.capture.table):
            raise another_table(same.capture)
        return None  # a stranger, or a table that had the name before ours did, and so before ours was copied

    def _has_its_name(self, table: Table) -> bool:
        now = self._catalog.by_oid([table.oid]).get(table.oid)
        return now is not None and now.name == table.name

    def _columns(self, message: RelationMessage, tracked: Tracked, table: Table | None) -> list[Column | None]:
        spec = tracked.capture.spec
        described = _described(message.columns, table, self._catalog)
        is_taken = [tracked.selection.takes(column, spec) for column in described]
        made = iter(columns_of([column for column, taken in zip(described, is_taken, strict=True) if taken]))
        # A number made up for a column that the catalog has forgotten must not pass for an identity.
        return [_identified(next(made)) if taken else None for taken in is_taken]

    def _key(
        self,
        message: RelationMessage,
        tracked: Tracked,
        columns: Sequence[Column | None],
        table: Table | None,
    ) -> tuple[str, ...]:
        """By the message where its flags mean the key (identity ``d`` and ``i``), else by the catalog."""
        pairs = list(zip(message.columns, columns, strict=True))
        if message.identity in {"d", "i"}:
            wanted = [logged.name for logged, _ in pairs if logged.in_identity]
        else:
            known = table or tracked.capture.table
            numbers = set(known.key)
            wanted = [column.source_name for column in columns if column is not None and column.source_id in numbers]
            wanted = wanted if len(wanted) == len(numbers) else []
        names = {logged.name: column.name for logged, column in pairs if column is not None}
        lost = [name for name in wanted if name not in names]
        if lost or (not wanted and tracked.capture.spec.mode is not Mode.APPEND):
            raise key_gone(tracked.capture)
        ordered = self._in_order([names[name] for name in wanted], tracked.capture.schema.key)
        return tuple(ordered)

    @staticmethod
    def _in_order(names: list[str], key: tuple[str, ...]) -> list[str]:
        """The key in the catalog's order where it is the same key."""
        return list(key) if set(names) == set(key) else names


def another_table(capture: Capture) -> SchemaRefused:
    """The refusal of a table that was dropped and made anew under its name (B9)."""
    return SchemaRefused(
        f"{capture.table.name} was dropped and created anew, or taken out of the publication and put back",
        where=f"stream {capture.spec.name}",
        hint=f"Copy it again: resync {capture.spec.name}.",
        case="recreated",
    )


def key_gone(capture: Capture) -> SchemaRefused:
    """The refusal of a table whose key was dropped."""
    return SchemaRefused(
        f"{capture.table.name} has lost its key, so its changes cannot be applied any more",
        where=f"stream {capture.spec.name}",
        hint=f"Give the table its key back, or use mode append; then resync {capture.spec.name}.",
        case="key",
    )


def _described(logged: Sequence[LoggedColumn], table: Table | None, catalog: Catalog) -> list[SourceColumn]:
    """Each column of the message with what the catalog still knows of it."""
    numbers = _numbers(logged, table)
    described = []
    for index, (column, number) in enumerate(zip(logged, numbers, strict=True)):
        now = next((known for known in table.columns if known.attnum == number), None) if table else None
        if now is not None and (now.type_oid, now.typmod) == (column.type_oid, column.typmod):
            described.append(attrs.evolve(now, name=column.name))
            continue
        typed = catalog.typed(column.name, column.type_oid, column.typmod)
        described.append(attrs.evolve(typed, attnum=number or -1 - index, not_null=now is not None and now.not_null))
    return described


def _numbers(logged: Sequence[LoggedColumn], table: Table | None) -> list[int | None]:
    """The attnum of each column: by name, and between two found by name, by position where that is unambiguous."""
    if table is None:
        return [None] * len(logged)
    by_name = {column.name: column.attnum for column in table.columns}
    numbers: list[int | None] = [by_name.get(column.name) for column in logged]
    last_number = max([*by_name.values(), *table.dropped], default=0)
    start = 0
    while start < len(numbers):
        if numbers[start] is not None:
            start += 1
            continue
        end = next((place for place in range(start, len(numbers)) if numbers[place] is not None), len(numbers))
        after = (numbers[start - 1] or 0) if start else 0
        before = numbers[end] if end < len(numbers) else None
        numbers[start:end] = _between(logged[start:end], table, after=after, before=before or last_number + 1)
        start = end
    return numbers


def _between(logged: Sequence[LoggedColumn], table: Table, *, after: int, before: int) -> list[int | None]:
    """The one way in which these columns can be those of the catalog in between, else nothing.

    They are in order, so they are either all that live there under other names, or the first of all that ever were
    there: what is left over was added later. A live column must have kept its type to be recognised.
    """
    names = {column.name for column in logged}
    renamed = {column.attnum: column for column in table.columns if after < column.attnum < before}
    alive = sorted(number for number, column in renamed.items() if column.name not in names)
    gone = [number for number in table.dropped if after < number < before]
    ever = sorted([*alive, *gone])
    first = ever[: len(logged)]
    ways = {
        tuple(way)
        for way in (alive, ever, first)
        if len(way) == len(logged)
        and all(
            number not in renamed or renamed[number].type_oid == column.type_oid
            for number, column in zip(way, logged, strict=True)
        )
    }
    return list(ways.pop()) if len(ways) == 1 else [None] * len(logged)


def _identified(column: Column) -> Column:
    return column if (column.source_id or 0) > 0 else attrs.evolve(column, source_id=None)
