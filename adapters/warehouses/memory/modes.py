"""What one change does to a staging table, in each mode: the rules in their plainest form, one row at a time.

This is the oracle that other warehouses are compared with, so it compacts nothing and optimises nothing.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import attrs

from adapters.warehouses.memory.rows import Change, Row, Values, commit_of, key_of, same
from pipeline.domain.change import Operation
from pipeline.domain.stream import Mode

#: The versions of each key in order: exactly one per key, but in history mode.
Staging = dict[Hashable, tuple[Row, ...]]


def apply_change(staging: Staging, change: Change, *, mode: Mode, key: Sequence[str]) -> None:
    """Change the staging table as ``change`` says. Not for append mode, which shows the changelog itself."""
    if change.op is Operation.TRUNCATE:
        for found in list(staging):
            if _is_live(staging[found]):
                _end(staging, found, change, mode=mode, known={})
    elif change.op is Operation.DELETE:
        _end(staging, key_of(change.values, key), change, mode=mode, known=_only(change.values, key))
    else:
        _upsert(staging, change, mode=mode, key=key)


def close_unheld(staging: Staging, held: set[Hashable], *, sequence: int, at: int) -> None:
    """Close the current versions of keys that a copy did not hold."""
    for found, versions in staging.items():
        if found not in held and _is_live(versions):
            staging[found] = (*versions[:-1], _closed(versions[-1], sequence, at))


def appended(change: Change) -> Row:
    """The row of append mode's view for one change."""
    return _row(change.values, change, deleted=change.op in (Operation.DELETE, Operation.TRUNCATE))


def _upsert(staging: Staging, change: Change, *, mode: Mode, key: Sequence[str]) -> None:
    new = key_of(change.values, key)
    old = new if change.old_key is None else key_of(change.old_key, key)
    before = staging.get(old, ())
    base: Values = before[-1].values if before else {}
    values = {**change.values, **{name: base.get(name) for name in change.unchanged or ()}}
    if old != new and change.old_key is not None:
        _end(staging, old, change, mode=mode, known=change.old_key)
    if mode is Mode.HISTORY:
        _open(staging, new, values, change)
    elif _is_newer(change, staging.get(new, ())):
        staging[new] = (_row(values, change, deleted=False),)


def _end(staging: Staging, found: Hashable, change: Change, *, mode: Mode, known: Values) -> None:
    """The row of a key is gone: by a delete, a truncate, or since it got another key."""
    versions = staging.get(found, ())
    if not _is_newer(change, versions):
        return
    if mode is Mode.HISTORY:
        versions = _without_commit(versions, change.commit)
        if _is_live(versions):
            versions = (*versions[:-1], _closed(versions[-1], change.sequence, change.commit_at))
        _store(staging, found, versions)
    elif mode is Mode.SOFT_DELETE:
        op = Operation.TRUNCATE if change.op is Operation.TRUNCATE else Operation.DELETE
        values = versions[-1].values if versions else known
        staging[found] = (_row(values, attrs.evolve(change, op=op), deleted=True),)
    else:
        _store(staging, found, ())


def _open(staging: Staging, found: Hashable, values: Values, change: Change) -> None:
    """History: a new version, unless it would be equal to the one that stands."""
    versions = staging.get(found, ())
    if not _is_newer(change, versions):
        return
    versions = _without_commit(versions, change.commit)
    if _is_live(versions):
        if same(versions[-1].values, values):
            _store(staging, found, versions)
            return
        versions = (*versions[:-1], _closed(versions[-1], change.sequence, change.commit_at))
    at = max([change.commit_at, *(row.valid_to_at for row in versions if row.valid_to_at is not None)])
    staging[found] = (*versions, attrs.evolve(_row(values, change, deleted=False), valid_from_at=at))


def _without_commit(versions: tuple[Row, ...], commit: int) -> tuple[Row, ...]:
    """The versions as they were before the commit that the change belongs to: it makes at most one."""
    kept = tuple(row for row in versions if commit_of(row.valid_from) != commit)
    if kept and kept[-1].valid_to is not None and commit_of(kept[-1].valid_to) == commit:
        return (*kept[:-1], attrs.evolve(kept[-1], valid_to=None, valid_to_at=None, current=True))
    return kept


def _is_live(versions: tuple[Row, ...]) -> bool:
    return bool(versions) and versions[-1].current and not versions[-1].deleted


def _is_newer(change: Change, versions: tuple[Row, ...]) -> bool:
    if not versions:
        return True
    last = versions[-1]
    return change.sequence > (last.sequence if last.valid_to is None else last.valid_to)


def _closed(row: Row, sequence: int, at: int) -> Row:
    return attrs.evolve(row, valid_to=sequence, valid_to_at=max(at, row.valid_from_at), current=False)


def _row(values: Values, change: Change, *, deleted: bool) -> Row:
    return Row(
        values=values,
        op=change.op,
        sequence=change.sequence,
        commit_at=change.commit_at,
        load=change.load,
        loaded_at=change.loaded_at,
        deleted=deleted,
        valid_from=change.sequence,
        valid_from_at=change.commit_at,
    )


def _store(staging: Staging, found: Hashable, versions: tuple[Row, ...]) -> None:
    if versions:
        staging[found] = versions
    else:
        staging.pop(found, None)


def _only(values: Values, names: Sequence[str]) -> Values:
    return {name: values[name] for name in names}
