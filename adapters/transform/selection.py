"""Which nodes of a dbt project a build runs: those behind the staging tables that changed, within the pipeline's own.

How dbt reads a selection: https://docs.getdbt.com/reference/node-selection/syntax
"""

from __future__ import annotations

from collections.abc import Collection, Sequence


def arguments(tables: Collection[str] | None, select: Sequence[str], *, absent: Collection[str] = ()) -> list[str]:
    """The arguments of ``dbt build`` for everything downstream of ``tables`` (None: everything) within ``select``, less
    what is downstream of the ``absent`` ones.

    A table counts as source and as changelog: sources are found by the table's name alone. Tests of what
    is selected run too, also those that compare it with a model that is not.
    """
    if tables is None:
        parts = list(select)
    else:
        behind = _behind(tables)
        parts = [f"{part},{own}" for part in behind for own in select] if select else behind
    return (["--select", *parts] if parts else []) + (["--exclude", *_behind(absent)] if absent else [])


def _behind(tables: Collection[str]) -> list[str]:
    return [f"source:*.{table}+" for table in sorted(tables)]
