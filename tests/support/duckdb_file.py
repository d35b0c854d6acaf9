"""A DuckDB file with one table, and small loads into it."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa

from adapters.warehouses.duckdb import build
from adapters.warehouses.duckdb.warehouse import DuckDBWarehouse
from pipeline.domain.change import change_schema
from pipeline.domain.checkpoint import Checkpoint
from pipeline.domain.loading import Target
from pipeline.domain.planning import plan_steps
from pipeline.domain.position import Position, Sequence
from pipeline.domain.schema import Column, StreamSchema
from pipeline.domain.stream import Mode

SCHEMA = StreamSchema([Column("id", pa.int64()), Column("note", pa.string())], key=["id"])
TARGET = Target("orders", "shop__orders", Mode.MIRROR, SCHEMA)
AT = datetime(2026, 1, 1, tzinfo=UTC)
BEGUN = Checkpoint("shop", Position({"lsn": 0}), load=0, epoch=0, at=AT)


def warehouse_at(path: str | Path, *, wait_s: float = 30) -> DuckDBWarehouse:
    return build("warehouse", {"path": str(path), "wait_s": wait_s})


def following(checkpoint: Checkpoint) -> Checkpoint:
    return checkpoint.next(Position({"lsn": checkpoint.load + 1}), at=AT)


def changes(load: int, *notes: str, schema: StreamSchema = SCHEMA) -> pa.Table:
    rows = [
        {
            "id": number,
            "note": note,
            "_cdc_op": 0,
            "_cdc_sequence": Sequence(0, load, 1, number).pack(),
            "_cdc_commit_at": AT,
        }
        for number, note in enumerate(notes)
    ]
    return pa.Table.from_pylist(rows, schema=change_schema(schema))


def load(warehouse: DuckDBWarehouse, checkpoint: Checkpoint, *notes: str, target: Target = TARGET) -> Checkpoint:
    after = following(checkpoint)
    with warehouse.load(checkpoint, after) as opened:
        for step in plan_steps(target, changes(after.load, *notes, schema=target.schema)):
            opened.apply(step)
        opened.commit({})
    return after
