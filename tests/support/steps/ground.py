"""What the steps of a scenario remember and share: their memo, changes as SQL, rows as texts."""

from __future__ import annotations

import threading
from typing import Any

import attrs
import pytest

from pipeline.domain.errors import ContractBroken, Fenced, PipelineError
from tests.support.faults import Died, Fault, FaultyWarehouse
from tests.support.world import World

ORDERS = "CREATE TABLE orders (id int PRIMARY KEY, status text, amount numeric(12,2))"
STATUSES = ("new", "paid", "sent")


@attrs.define
class Memo:
    """What a scenario remembers between its steps."""

    error: PipelineError | None = None
    checkpoint: Any = None
    sleeper: Any = None
    copies: int = 0
    writer: threading.Thread | None = None
    silence: threading.Event = attrs.field(factory=threading.Event)


@pytest.fixture
def memo() -> Memo:
    return Memo()


def table(datatable: list[list[str]]) -> list[dict[str, str]]:
    head, *rows = datatable
    return [dict(zip(head, row, strict=True)) for row in rows]


def literal(value: str) -> str:
    return "NULL" if value in {"", "null"} else "'" + value.replace("'", "''") + "'"


def statement(change: dict[str, str]) -> str:
    kind, key = change["change"], literal(change["id"])
    if kind == "insert":
        return f"INSERT INTO orders VALUES ({key}, {literal(change['status'])}, {literal(change['amount'])})"
    if kind == "update":
        values = f"status = {literal(change['status'])}, amount = {literal(change['amount'])}"
        return f"UPDATE orders SET {values} WHERE id = {key}"
    if kind == "rekey":
        return f"UPDATE orders SET id = {literal(change['new id'])} WHERE id = {key}"
    if kind == "delete":
        return f"DELETE FROM orders WHERE id = {key}"
    assert kind == "truncate", kind
    return "TRUNCATE orders"


def shown(world: World) -> list[tuple[str, ...]]:
    rows = world.staging("orders").to_pylist()
    return sorted(tuple(text(row[name]) for name in ("id", "status", "amount")) for row in rows)


def text(value: object) -> str:
    return "null" if value is None else str(value)


def source_rows(world: World) -> list[tuple[str, ...]]:
    return sorted(tuple(text(value) for value in row) for row in world.rows("SELECT id, status, amount FROM orders"))


def attempt(world: World, memo: Memo, fault: Fault | None = None) -> None:
    memo.checkpoint = world.checkpoint()
    warehouse = FaultyWarehouse(world.warehouse, fault) if fault else None
    try:
        world.run(warehouse=warehouse)  # type: ignore[arg-type] # hands everything on
    except Died:
        assert fault is not None
    except (ContractBroken, Fenced) as error:
        memo.error = error
