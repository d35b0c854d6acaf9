"""One stream within one load: its pieces pass the stages in order and become load steps.

The order of stages: processors and masking, validation and quarantine, schema, compaction, load. The transaction around
it is opened and committed by ``loader`` and ``copying``.
"""

from __future__ import annotations

from collections.abc import Iterable

import attrs
import pyarrow as pa

from pipeline.domain.change import ChangeBatch
from pipeline.domain.checkpoint import StreamState
from pipeline.domain.counts import StreamCounts
from pipeline.domain.errors import SchemaRefused
from pipeline.domain.evolution import conform, evolve
from pipeline.domain.limits import UNLIMITED, ValueLimits
from pipeline.domain.loading import AddColumn, Migration, SchemaChange, Target
from pipeline.domain.planning import plan_copy, plan_steps
from pipeline.domain.processing import check_masks, process, processed_schema
from pipeline.domain.quarantine import Waiting, judge
from pipeline.domain.schema import StreamSchema
from pipeline.domain.stream import Mode, StreamSpec
from pipeline.ports.warehouse import Load, Warehouse, target_of


@attrs.define
class StreamLoad:
    """Takes the pieces of one stream in order and applies them to an open load.

    ``flush_rows`` and ``flush_bytes`` are how many rows, and bytes of them, may wait to be compacted together (P11).
    ``limits`` are the warehouse's. ``is_copy`` says that the pieces are of a snapshot, which holds each key once.
    """

    spec: StreamSpec
    target: Target
    waiting: Waiting
    flush_rows: int
    flush_bytes: int
    limits: ValueLimits = UNLIMITED
    is_copy: bool = False
    counts: StreamCounts = attrs.field(factory=StreamCounts)
    _tables: list[pa.Table] = attrs.field(factory=list)
    _row_count: int = 0
    _byte_count: int = 0

    def take(self, load: Load, piece: ChangeBatch) -> None:
        """Judge a piece, set broken rows apart, and keep the rest for the next flush."""
        masked = process(piece, masks=self.spec.masks)
        judged = judge(masked, self.spec.contract, self.waiting, limits=self.limits)
        self.waiting = judged.waiting
        self.counts += judged.counts
        if judged.quarantined.num_rows:
            load.quarantine(self.target, judged.quarantined)
        if judged.settled.num_rows:
            load.settle(self.target, judged.settled)
        if judged.passed.num_rows:
            table = conform(judged.passed, masked.schema, self.target.schema)
            self._tables.append(table)
            self._row_count += table.num_rows
            self._byte_count += table.nbytes
        if self._row_count >= self.flush_rows or self._byte_count >= self.flush_bytes:
            self.flush(load)

    def flush(self, load: Load) -> None:
        """Compact and apply what waits."""
        if not self._tables:
            return
        changes = self._tables[0] if len(self._tables) == 1 else pa.concat_tables(self._tables)
        self._tables.clear()
        self._row_count = self._byte_count = 0
        steps = (plan_copy(self.target, changes),) if self.is_copy else plan_steps(self.target, changes)
        for step in steps:
            load.apply(step)
            self.counts += step.counts


def evolve_state(
    state: StreamState,
    incoming: tuple[StreamSchema, ...],
    *,
    spec: StreamSpec,
    warehouse: Warehouse,
    copied_in: Mode | None = None,
) -> tuple[StreamState, Migration | None, tuple[str, ...]]:
    """The stream's state after its tables follow ``incoming`` schemas in order, the migration that brings them
    there (None if nothing changes), and phrases of what changed. ``copied_in`` as in ``evolve``. Raises
    ``SchemaRefused``.
    """
    schema = state.schema
    changes: list[SchemaChange] = []
    phrases: list[str] = []
    for after in incoming:
        check_masks(after, spec.masks)
        try:
            evolution = evolve(
                schema,
                processed_schema(after, spec.masks),
                policy=spec.contract.on_schema_change,
                widens=warehouse.widens,
                copied_in=copied_in,
            )
        except SchemaRefused as error:
            error.where = error.where or f"stream {spec.name}"
            raise
        if copied_in is None:
            _refuse_filled(evolution.changes, spec)
        schema = evolution.schema
        changes.extend(evolution.changes)
        phrases.extend(evolution.phrases)
    if not changes and schema.key == state.schema.key:
        return attrs.evolve(state, schema=schema), None, ()
    evolved = attrs.evolve(state, schema=schema, schema_version=state.schema_version + 1)
    return evolved, Migration(target_of(evolved), before=state.schema, changes=tuple(changes)), tuple(phrases)


def _refuse_filled(changes: Iterable[SchemaChange], spec: StreamSpec) -> None:
    """Refuse a column that holds values in old rows which no change told: they would be null here (P7)."""
    filled = [
        change.column.name for change in changes if isinstance(change, AddColumn) and change.column.fills_old_rows
    ]
    if filled:
        raise SchemaRefused(
            f"column {', '.join(filled)} was added with values in rows loaded before; the log does not tell them",
            where=f"stream {spec.name}",
            hint=f"Copy the stream again: resync {spec.name}.",
            case="filled",
        )
