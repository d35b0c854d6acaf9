"""Which column of a warehouse table a column of the source belongs to.

What happens to columns that belong nowhere yet is ``evolution``'s; moving values is ``conforming``'s. Both ask here, so
that they cannot disagree.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Sequence

from pipeline.domain.fitting import holds
from pipeline.domain.schema import Column


def fits(target: Column, column: Column) -> bool:
    """Whether ``target`` can take every value of ``column``; a JSON column takes JSON documents only."""
    return holds(target.type, column.type) and (column.json or not target.json)


def match(
    columns: Sequence[Column], targets: Sequence[Column], *, accepts: Callable[[Column, Column], bool] = fits
) -> dict[str, Column]:
    """By name of the column, the target that each of ``columns`` belongs to; each target to one column at most.

    The source's own identity of a column decides; where one side has none, the name in the source. Of several targets
    with one identity (the type changed so that a new one was added) it is the last that ``accepts`` the column.
    """
    found: dict[str, Column] = {}
    taken: set[str] = set()
    by_id = _index(targets, lambda target: target.source_id)
    by_name = _index(targets, lambda target: target.source_name)
    for column in columns:
        if column.source_id is not None:
            _claim(column, by_id[column.source_id], found=found, taken=taken, accepts=accepts)
    for column in columns:
        if column.name not in found:
            nameable = [
                target for target in by_name[column.source_name] if column.source_id is None or target.source_id is None
            ]
            _claim(column, nameable, found=found, taken=taken, accepts=accepts)
    return found


def _claim(
    column: Column,
    candidates: Sequence[Column],
    *,
    found: dict[str, Column],
    taken: set[str],
    accepts: Callable[[Column, Column], bool],
) -> None:
    for target in reversed(candidates):
        if target.name not in taken and accepts(target, column):
            found[column.name] = target
            taken.add(target.name)
            return


def _index(targets: Sequence[Column], by: Callable[[Column], Hashable]) -> dict[Hashable, list[Column]]:
    index: dict[Hashable, list[Column]] = defaultdict(list)
    for target in targets:
        index[by(target)].append(target)
    return index
