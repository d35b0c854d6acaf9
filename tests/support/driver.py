"""Drives a warehouse through a generated history, one staging table per mode side by side in the same loads."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

import attrs
import pyarrow as pa

from pipeline.domain.checkpoint import Checkpoint, Phase, StreamState
from pipeline.domain.counts import StreamCounts
from pipeline.domain.loading import AddColumn, LoadStep, Migration, Target
from pipeline.domain.planning import plan_steps
from pipeline.domain.position import Position
from pipeline.domain.schema import StreamSchema
from pipeline.domain.stream import Mode
from pipeline.ports.warehouse import Warehouse
from tests.support.generator import LoadKind, PlayedLoad
from tests.support.told import change_table

GROUP = "shop"
BEGUN_AT = datetime(2026, 2, 1, tzinfo=UTC)

Planner = Callable[[Target, pa.Table], Sequence[LoadStep]]


@attrs.define(eq=False)
class Driver:
    """Begins a group in a warehouse and plays loads into it. ``names`` is the staging table of each mode."""

    warehouse: Warehouse
    schema: StreamSchema
    modes: tuple[Mode, ...] = tuple(Mode)
    plan: Planner = plan_steps
    checkpoint: Checkpoint = attrs.field(
        factory=lambda: Checkpoint(GROUP, Position({"lsn": 0}), load=0, epoch=0, at=BEGUN_AT)
    )
    version: int = 1

    def begin(self) -> None:
        """Create everything and write the first checkpoint."""
        self.warehouse.setup(GROUP)
        self.warehouse.begin(self.checkpoint)
        self.warehouse.migrate(self.checkpoint, [Migration(self.target(mode)) for mode in self.modes])

    def target(self, mode: Mode, *, built_as: Mode | None = None) -> Target:
        """The staging table that loads keep in this mode, or that was rebuilt in another."""
        return Target(mode.value, f"shop__{mode.value}", built_as or mode, self.schema, self.version)

    def play(self, played: PlayedLoad) -> None:
        """Migrate if a column was added, then load the pieces in one load."""
        if played.added is not None:
            self.add(played.schema, AddColumn(played.added))
        tables = [change_table(played.schema, piece) for piece in played.pieces]
        self.load(tables, is_copy=played.kind is LoadKind.COPY)

    def add(self, schema: StreamSchema, change: AddColumn) -> None:
        """Bring all tables to the schema."""
        before, self.schema = self.schema, schema
        self.version += 1
        migrations = [Migration(self.target(mode), before, (change,)) for mode in self.modes]
        self.checkpoint = self.warehouse.migrate(self.checkpoint, migrations)

    def load(self, tables: Sequence[pa.Table], *, is_copy: bool = False) -> None:
        """Load the tables of changes as pieces of one load, into the staging table of every mode."""
        following = self.next()
        counts = {}
        with self.warehouse.load(self.checkpoint, following) as load:
            for mode in self.modes:
                target = self.target(mode)
                counts[mode.value] = StreamCounts()
                if is_copy:
                    load.replace(target)
                for step in (step for table in tables for step in self.plan(target, table)):
                    load.apply(step)
                    read = StreamCounts(read_count=step.changes.num_rows)
                    counts[mode.value] += step.counts + read
                if is_copy:
                    load.finish_replace(target)
                load.set_state(self.state(mode))
            load.commit(counts)
        self.checkpoint = following

    def next(self) -> Checkpoint:
        """The checkpoint after the present one."""
        lsn = int(self.checkpoint.position.parts["lsn"])
        return self.checkpoint.next(Position({"lsn": lsn + 1}), at=self.checkpoint.at + timedelta(minutes=1))

    def state(self, mode: Mode) -> StreamState:
        """The recorded state of a stream."""
        target = self.target(mode)
        return StreamState(
            stream=target.stream,
            table=target.table,
            mode=mode,
            phase=Phase.STREAMING,
            since=Position({"lsn": 0}),
            schema=self.schema,
            schema_version=self.version,
        )


def source_table(played: PlayedLoad) -> pa.Table:
    """The rows that the source's table holds after a load."""
    schema = played.schema.arrow()
    return pa.table([pa.array([row[field.name] for row in played.rows], field.type) for field in schema], schema=schema)
