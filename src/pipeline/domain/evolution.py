"""Decides how the tables of a stream follow its source's schema, or that they may not.

Altering tables is the warehouse's; bringing batches to the decided schema is ``conforming``'s. The rules:

- A column keeps its identity by ``source_id``, or by its source name where ids are not known. A renamed column is
  renamed; a column dropped and added again under its name is another column: the old one is set aside as
  ``<name>_dropped``, so that the name always shows what the source shows under it.
- A type whose values fit the table's stays as the table has it (the table may be wider than the source). One that
  does not fit widens the table's column to a type that holds both, if the warehouse can do that in place.
- Any other change of type is a new column, ``<name>_2``, which holds values in old rows; the old one stays as if
  dropped.
- A dropped column stays, nullable and without a default. NOT NULL at the source is noted, never enforced.
- The contract's policy: EVOLVE follows all of it; DISCARD follows all but new columns, whose values are left out; STOP
  refuses all of it but dropped columns, from which nothing is lost.
- Another key is refused, since rows could not be told apart any more; but when a stream is copied again, it may have
  another key, or none in append mode. Its versions in history mode are told by their key, so there it stays refused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import assert_never

import attrs
import pyarrow as pa

from pipeline.domain.conforming import conform
from pipeline.domain.contract import OnSchemaChange
from pipeline.domain.errors import SchemaRefused
from pipeline.domain.fitting import common_type, plain_type
from pipeline.domain.loading import AddColumn, ChangeType, DropColumn, RenameColumn, SchemaChange
from pipeline.domain.matching import match
from pipeline.domain.renaming import free_name, ordered_renames
from pipeline.domain.schema import Column, StreamSchema
from pipeline.domain.stream import Mode

__all__ = ["Evolution", "conform", "evolve", "is_recreated", "without_source_ids"]

Widens = Callable[[pa.DataType, pa.DataType], bool]


@attrs.frozen
class Evolution:
    """What the tables have afterwards (``schema``), the ordered ``changes`` that bring them there, the names of the
    incoming columns that are left out (``discarded``), and ``phrases`` that tell people of the changes.

    ``schema`` may differ without any change: it also notes names, types and nullability at the source.
    """

    schema: StreamSchema
    changes: tuple[SchemaChange, ...] = ()
    discarded: tuple[str, ...] = ()
    phrases: tuple[str, ...] = ()


def evolve(
    before: StreamSchema, after: StreamSchema, *, policy: OnSchemaChange, widens: Widens, copied_in: Mode | None = None
) -> Evolution:
    """How tables of schema ``before`` follow a source of schema ``after``.

    ``widens`` is the warehouse's. ``copied_in`` is the mode of a stream that is about to be copied again, None when
    changes are to be loaded. Evolving the result again with the same ``after`` changes nothing. Raises
    ``SchemaRefused``, without ``where``: the caller knows the stream.
    """
    fates = _fates(before, after, widens)
    has_other_key = not _is_same_key(before, after, fates)
    if has_other_key:
        _check_other_key(before, after, copied_in)
    if policy is OnSchemaChange.STOP:
        _refuse(fates)
    discards = policy is OnSchemaChange.DISCARD
    discarded = tuple(fate.after.name for fate in fates if fate.before is None and discards)
    if set(discarded) & set(after.key):
        raise _other_key(before, after, hint="Set on_schema_change to evolve in the contract.")
    fates = [fate for fate in fates if fate.before is not None or not discards]
    names = _names(before, fates)
    evolution = _evolution(before, fates, names)
    if has_other_key:
        places = {fate.after.name: names[_handle(fate)] for fate in fates}
        key = tuple(places[name] for name in after.key)
        evolution = attrs.evolve(evolution, schema=attrs.evolve(evolution.schema, key=key))
    return attrs.evolve(evolution, discarded=discarded)


def is_recreated(before: StreamSchema, after: StreamSchema) -> bool:
    """Whether numbers of columns started anew: a column that is there under its name has another number now."""
    known = {column.source_name: column.source_id for column in before.columns if not column.dropped}
    return any(
        column.source_id is not None and (known.get(column.source_name) or column.source_id) != column.source_id
        for column in after.columns
    )


def without_source_ids(schema: StreamSchema) -> StreamSchema:
    """The schema with columns known by name alone: for a source that was recreated or restored, where the numbers
    that told columns apart start anew. Columns dropped before are known by their name in the tables.
    """
    return schema.with_columns(
        [
            attrs.evolve(column, source_id=None, source_name=column.name if column.dropped else column.source_name)
            for column in schema.columns
        ]
    )


@attrs.frozen
class _Fate:
    """What becomes of one incoming column: it goes on as the column ``before``, of type ``type``, or is a new one.

    ``outgrown`` is the column that it went on as until its type changed too far.
    """

    after: Column
    before: Column | None
    type: pa.DataType
    outgrown: Column | None = None

    @property
    def is_renamed(self) -> bool:
        return self.before is not None and self.before.source_name != self.after.source_name

    @property
    def is_retyped(self) -> bool:
        return self.before is not None and (self.type != self.before.type or (self.before.json and not self.after.json))


def _fates(before: StreamSchema, after: StreamSchema, widens: Widens) -> list[_Fate]:
    fitting = match(after.columns, before.columns)
    taken = {column.name for column in fitting.values()}
    left = [column for column in before.columns if column.name not in taken]
    others = match([column for column in after.columns if column.name not in fitting], left, accepts=_accepts_any)
    fates = []
    for column in after.columns:
        known, own = fitting.get(column.name), others.get(column.name)
        if known is not None:
            fates.append(_Fate(column, known, known.type))
            continue
        wider = _wider(own, column, widens) if own is not None else None
        if wider is not None:
            fates.append(_Fate(column, own, wider))
        else:
            fates.append(_Fate(column, None, plain_type(column.type), outgrown=own))
    return fates


def _accepts_any(_target: Column, _column: Column) -> bool:
    return True


def _wider(own: Column, column: Column, widens: Widens) -> pa.DataType | None:
    """The type for both, None if there is none or the warehouse cannot change to it in place."""
    kind = common_type(own.type, column.type)
    if kind is None or (own.json and kind != own.type) or (column.json and not own.json):
        return None
    return kind if kind == own.type or widens(own.type, kind) else None


def _is_same_key(before: StreamSchema, after: StreamSchema, fates: Iterable[_Fate]) -> bool:
    places = {fate.after.name: fate.before.name if fate.before else None for fate in fates}
    return {places[name] for name in after.key} == set(before.key)


def _check_other_key(before: StreamSchema, after: StreamSchema, copied_in: Mode | None) -> None:
    if copied_in is None:
        raise _other_key(before, after, hint="Copy the stream again: resync it.")
    is_possible = bool(before.key) and (bool(after.key) or copied_in is Mode.APPEND)
    if not is_possible or copied_in is Mode.HISTORY:
        raise _other_key(before, after, hint="Give the stream another name, so that it gets tables of its own.")


def _other_key(before: StreamSchema, after: StreamSchema, *, hint: str) -> SchemaRefused:
    return SchemaRefused(
        f"The key changed from ({', '.join(before.key)}) to ({', '.join(after.key)}), or a key column to another type.",
        hint=hint,
    )


def _refuse(fates: Iterable[_Fate]) -> None:
    broken = []
    for fate in fates:
        if fate.before is None:
            broken.append(f"column {fate.after.name} is new or has another type")
        elif fate.is_renamed:
            broken.append(f"column {fate.before.source_name} is now called {fate.after.source_name}")
        if fate.before is not None and fate.is_retyped:
            broken.append(f"column {fate.after.name} has a wider type")
    if broken:
        raise SchemaRefused(
            f"The contract stops at schema changes: {'; '.join(broken)}.",
            hint="Set on_schema_change to evolve or discard in the contract, or undo the change at the source.",
        )


def _names(before: StreamSchema, fates: Iterable[_Fate]) -> dict[str, str]:
    """The new name of each column of ``before``; and of each new column, by its incoming name after a NUL."""
    names: dict[str, str] = {}
    moving = [fate for fate in fates if fate.before is None or fate.is_renamed]
    for fate in fates:
        if fate.before is not None and not fate.is_renamed:
            names[fate.before.name] = fate.before.name
        if fate.outgrown is not None:
            names[fate.outgrown.name] = fate.outgrown.name
    for fate in moving:
        is_same = fate.outgrown is not None and fate.outgrown.source_name == fate.after.source_name
        wish = fate.outgrown.name if fate.outgrown is not None and is_same else fate.after.name
        names[_handle(fate)] = free_name(wish, taken=names.values(), avoid=before.names)
    for name in before.names:
        if name not in names:
            is_taken = name.casefold() in {taken.casefold() for taken in names.values()}
            wish = f"{name}_dropped" if is_taken else name
            names[name] = free_name(wish, taken=names.values(), avoid=before.names)
    return names


def _handle(fate: _Fate) -> str:
    return fate.before.name if fate.before is not None else f"\0{fate.after.name}"


def _evolution(before: StreamSchema, fates: list[_Fate], names: dict[str, str]) -> Evolution:
    followed = {fate.before.name: fate for fate in fates if fate.before is not None}
    kept, retyped, dropped = [], [], []
    for column in before.columns:
        fate = followed.get(column.name)
        now = _followed(column, fate) if fate else attrs.evolve(column, nullable=True, default=None, dropped=True)
        now = attrs.evolve(now, name=names[column.name])
        kept.append(now)
        if fate and fate.is_retyped:
            retyped.append((column, now))
        if not fate and not column.dropped:
            dropped.append(now)
    added = [_added(fate, names[_handle(fate)]) for fate in fates if fate.before is None]
    schema = StreamSchema((*kept, *added), key=tuple(names[name] for name in before.key))
    renames = ordered_renames([(column, names[column.name]) for column in before.columns])
    changes: tuple[SchemaChange, ...] = (
        *renames,
        *(ChangeType(column) for _, column in retyped),
        *(AddColumn(column) for column in added),
        *(DropColumn(column.name) for column in dropped),
    )
    types_before = {now.name: _spelt(was) for was, now in retyped}
    return Evolution(schema, changes, phrases=tuple(_phrase(change, types_before) for change in changes))


def _followed(column: Column, fate: _Fate) -> Column:
    after = fate.after
    return attrs.evolve(
        column,
        type=fate.type,
        nullable=column.nullable or after.nullable,
        source_name=after.source_name,
        source_type=after.source_type,
        source_id=column.source_id if after.source_id is None else after.source_id,
        json=column.json and after.json,
        default=_default(column.default, fate.type),
        dropped=False,
    )


def _added(fate: _Fate, name: str) -> Column:
    return attrs.evolve(
        fate.after,
        name=name,
        type=fate.type,
        default=_default(fate.after.default, fate.type),
        fills_old_rows=fate.after.fills_old_rows or fate.outgrown is not None,
        dropped=False,
    )


def _default(default: pa.Scalar | None, kind: pa.DataType) -> pa.Scalar | None:
    return None if default is None else default.cast(kind)


def _phrase(change: SchemaChange, types_before: dict[str, str]) -> str:
    match change:
        case AddColumn(column):
            return f"added column {column.name} ({_spelt(column)})"
        case ChangeType(column):
            return f"changed column {column.name} from {types_before[column.name]} to {_spelt(column)}"
        case RenameColumn(name, column):
            return f"renamed column {name} to {column.name}"
        case DropColumn(name):
            return f"kept column {name}, which the source dropped"
        case _:
            assert_never(change)


def _spelt(column: Column) -> str:
    return "json" if column.json else str(column.type)
