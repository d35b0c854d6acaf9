"""Begins a group in Snowflake databases that may not be there yet, in a process of its own:
``newcomer.py GROUP OPTIONS...``, the options of each database as JSON.

It says ``ready`` once everything is imported, and again after each database; after each line that it reads it does in
the next one what a first run does: sets up, begins, makes the tables of a stream and loads a row.
"""

from __future__ import annotations

import json
import sys

import attrs

from adapters.warehouses.snowflake import build
from tests.conformance.warehouse_ground import FIRST, create, load, target_for
from tests.support.told import Log


def main() -> None:
    """Begin in each database once told to."""
    import snowflake.connector  # noqa: F401 - takes seconds, in which the others would get ahead

    group, *databases = sys.argv[1:]
    for options in databases:
        _say_ready()
        sys.stdin.readline()
        _begin(group, json.loads(options))
    _say_ready()


def _begin(group: str, options: dict[str, object]) -> None:
    warehouse = build("warehouse", options, pipeline=group)
    warehouse.setup(group)
    begun = attrs.evolve(FIRST, group=group)
    warehouse.begin(begun)
    target = create(warehouse, attrs.evolve(target_for(), stream=group, table=f"shop__{group}"), begun)
    load(warehouse, target, [Log().insert(id=1, name="Ann")], after=begun)
    warehouse.close()


def _say_ready() -> None:
    print("ready", flush=True)  # noqa: T201 - for the test


if __name__ == "__main__":
    main()
