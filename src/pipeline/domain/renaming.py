"""Renames of columns in an order that works, and those that undo a migration which no load ever recorded (D10).

Which columns get which names is decided by ``evolution``; carrying renames out is the warehouses'.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import attrs

from pipeline.domain.loading import RenameColumn
from pipeline.domain.schema import Column, StreamSchema


def free_name(wish: str, *, taken: Iterable[str], avoid: Iterable[str] = ()) -> str:
    """``wish``, or the first numbered variant of it that no column has or, by ``avoid``, had."""
    used = {name.casefold() for name in taken}
    if wish.casefold() not in used:
        return wish
    used |= {name.casefold() for name in avoid}
    number = 2
    while f"{wish}_{number}".casefold() in used:
        number += 1
    return f"{wish}_{number}"


def ordered_renames(wishes: Iterable[tuple[Column, str]]) -> tuple[RenameColumn, ...]:
    """Columns given the names wished, in an order in which no name is in use twice; a ring of names is opened by a
    name in between.
    """
    columns = list(wishes)
    current = {column.name: column for column, _ in columns}
    goals = {column.name: goal for column, goal in columns}
    waiting = [name for name, goal in goals.items() if name != goal]
    renames = []
    while waiting:
        used = {name.casefold(): name for name in current}
        free = [name for name in waiting if used.get(goals[name].casefold(), name) == name]
        if free:
            name, new = free[0], goals[free[0]]
        else:
            name = waiting[0]
            new = free_name(f"{name}_renaming", taken=[*current, *goals.values()])
            goals[new] = goals[name]
            waiting.append(new)
        waiting.remove(name)
        current[new] = attrs.evolve(current.pop(name), name=new)
        renames.append(RenameColumn(name, current[new]))
    return tuple(renames)


def undone(found: Sequence[str], recorded: StreamSchema) -> tuple[tuple[str, ...], tuple[RenameColumn, ...]]:
    """What brings a table with the data columns ``found``, in their order, back to the schema ``recorded`` of it: the
    names of columns to drop first, then renames.

    A column keeps its place in its table whatever it is called, and ``evolve`` puts new columns behind the others: so
    the place tells which is which, also after a part of a migration. A wider type may stay. Of a table that has lost
    columns nothing can be told.
    """
    if len(found) < len(recorded.columns):
        return (), ()
    kept, added = found[: len(recorded.columns)], found[len(recorded.columns) :]
    wishes = [
        (attrs.evolve(column, name=name), column.name) for name, column in zip(kept, recorded.columns, strict=True)
    ]
    return tuple(added), ordered_renames(wishes)
