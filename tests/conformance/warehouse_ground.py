"""The ground of the warehouse suites: the harness an adapter gives, and short words for loads and targets."""

from __future__ import annotations

from abc import ABC, abstractmethod
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest

from pipeline.domain.checkpoint import Checkpoint, Phase, StreamState
from pipeline.domain.counts import StreamCounts
from pipeline.domain.loading import (
    Migration,
    Target,
)
from pipeline.domain.planning import plan_steps
from pipeline.domain.position import Position
from pipeline.domain.quarantine import QUARANTINE_SCHEMA
from pipeline.domain.schema import Column, StreamSchema
from pipeline.domain.stream import Mode
from pipeline.ports.warehouse import Warehouse
from tests.support.tables import content
from tests.support.told import Told, change_table

GROUP = "shop"
AT = datetime(2026, 2, 1, tzinfo=UTC)
FIRST = Checkpoint(GROUP, Position({"lsn": 100}), load=0, epoch=0, at=AT)
PEOPLE = StreamSchema([Column("id", pa.int64(), nullable=False), Column("name", pa.string())], key=("id",))
CANARY = "canary-7d3f"


class WarehouseHarness(ABC):
    """How a warehouse is made and disturbed. Each test gets one of its own, empty, before ``setup``."""

    @abstractmethod
    def open(self) -> Warehouse:
        """Another warehouse object over the same tables, as another process would have."""

    @abstractmethod
    def make_foreign(self, table: str) -> None:
        """Create a table that the pipeline did not make where the staging table of this name would stand."""

    def document(self, text: str | None) -> object:
        """What must be equal of a JSON text that is loaded and the one that comes back: all of it, unless the warehouse
        keeps documents and not their texts.
        """
        return text


class WarehouseSuite:
    """Ground for all suites: a harness and a warehouse that is set up and begun, with a table ``people``."""

    @pytest.fixture
    def harness(self) -> WarehouseHarness:
        """The adapter's harness."""
        raise NotImplementedError("a conformance suite needs a harness")

    @pytest.fixture
    def warehouse(self, harness: WarehouseHarness) -> Warehouse:
        """A warehouse that was set up and begun."""
        made = harness.open()
        made.setup(GROUP)
        made.begin(FIRST)
        return made


def target_for(mode: Mode = Mode.MIRROR, schema: StreamSchema = PEOPLE, *, version: int = 1) -> Target:
    """The staging table of ``people``."""
    return Target("people", "shop__people", mode, schema, version)


def state_for(target: Target) -> StreamState:
    """What is recorded of a target's stream."""
    return StreamState(
        stream=target.stream,
        table=target.table,
        mode=target.mode,
        phase=Phase.STREAMING,
        since=Position({"lsn": 100}),
        schema=target.schema,
        schema_version=target.schema_version,
    )


def create(warehouse: Warehouse, target: Target, previous: Checkpoint = FIRST) -> Target:
    """Create the target's tables; since nothing is to be undone before, the checkpoint does not matter."""
    warehouse.migrate(previous, [Migration(target)])
    return target


def following(checkpoint: Checkpoint) -> Checkpoint:
    """The checkpoint of the next load, ten bytes of log and one minute later."""
    position = Position({"lsn": int(checkpoint.position.parts["lsn"]) + 10})
    return checkpoint.next(position, at=checkpoint.at + timedelta(minutes=1))


def load(
    warehouse: Warehouse,
    target: Target,
    *pieces: list[Told],
    after: Checkpoint = FIRST,
    is_copy: bool = False,
) -> Checkpoint:
    """Load pieces of changes in one load; the new checkpoint."""
    checkpoint = following(after)
    counts = StreamCounts()
    with warehouse.load(after, checkpoint) as opened:
        if is_copy:
            opened.replace(target)
        for piece in pieces:
            for step in plan_steps(target, change_table(target.schema, piece)):
                opened.apply(step)
                counts += step.counts + StreamCounts(read_count=step.changes.num_rows)
        if is_copy:
            opened.finish_replace(target)
        opened.set_state(state_for(target))
        opened.commit({target.stream: counts})
    return checkpoint


def quarantine_rows(*rows: tuple[int, int]) -> pa.Table:
    """Quarantined rows of (id, packed sequence)."""
    return pa.Table.from_pylist(
        [
            {
                "sequence": sequence,
                "op": "insert",
                "commit_at": AT,
                "key": f'{{"id":{key}}}',
                "row": f'{{"id":{key},"name":"{CANARY}"}}',
                "reasons": ["not_null(name)"],
                "contract_version": "1",
            }
            for key, sequence in rows
        ],
        schema=QUARANTINE_SCHEMA,
    )


def snapshot_of(warehouse: Warehouse, target: Target) -> tuple[object, ...]:
    """All that the warehouse tells of a target and its group."""
    return (
        content(warehouse.rows(target)),
        content(warehouse.changelog(target)),
        content(warehouse.quarantined(target)),
        warehouse.states(GROUP),
        warehouse.checkpoint(GROUP),
        warehouse.audit(GROUP),
    )


def told_as_of(snapshot: tuple[object, ...], checkpoint: Checkpoint) -> tuple[object, ...]:
    """The same with another checkpoint."""
    return tuple(checkpoint if isinstance(part, Checkpoint) else part for part in snapshot)
