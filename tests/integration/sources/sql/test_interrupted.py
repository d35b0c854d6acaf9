"""A run that is killed between two loads, and what the next one makes of it."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Any

import pytest

from adapters.sources.sql import postgresql_view, sqlite_view
from pipeline.domain.stream import BatchLimits
from tests.support.sql_world import SqlWorld

TABLE = "CREATE TABLE orders (id integer PRIMARY KEY, note text, updated_at timestamp)"


class Killed(BaseException):
    """The process is gone."""


class DyingWarehouse:
    """Passes everything on to the real one, and dies instead of opening the load after ``loads`` of them."""

    def __init__(self, warehouse: Any, *, loads: int) -> None:
        self._warehouse = warehouse
        self._left = loads

    def __getattr__(self, name: str) -> Any:
        return getattr(self._warehouse, name)

    def load(self, *arguments: Any, **more: Any) -> AbstractContextManager[Any]:
        if self._left == 0:
            raise Killed
        self._left -= 1
        opened: AbstractContextManager[Any] = self._warehouse.load(*arguments, **more)
        return opened


@pytest.mark.parametrize(
    "read", [{"cursor": "updated_at", "deletes": "diff"}, {"cursor": "updated_at", "overlap": 0}, {}]
)
def test_a_run_goes_on_where_the_last_one_was_killed(
    world: SqlWorld, read: Mapping[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    """G1."""
    for module in (postgresql_view, sqlite_view):  # pieces of a few rows, so that a look is more than one load
        monkeypatch.setattr(module, "PIECE_BYTES", 1_000)
    world.limits = BatchLimits(rows=100)
    world.read = dict(read)
    world.origin.sql(TABLE, "INSERT INTO orders VALUES (0, 'first', '2026-01-01 10:00:00')")
    world.run()
    rows = ", ".join(f"({n}, 'n', '2026-01-02 {n // 60:02}:{n % 60:02}:00')" for n in range(1, 1000))
    world.origin.sql(f"INSERT INTO orders VALUES {rows}")

    with pytest.raises(Killed):
        world.run(warehouse=DyingWarehouse(world.warehouse, loads=2))  # type: ignore[arg-type] # it passes all on
    loaded = len(world.staged("id"))
    assert 1 < loaded < 1000
    rest = world.run()

    assert world.staged("id", "note") == sorted(world.origin.rows("SELECT id, note FROM orders"), key=repr)
    assert world.loaded(rest) < 1000
    assert world.loaded(world.run()) == 0
