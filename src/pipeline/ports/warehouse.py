"""The port to the system that holds staging tables, changelogs, quarantine and checkpoints.

What to load is decided by the domain (``loading``); a warehouse carries it out in one transaction.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from typing import Protocol

import attrs
import pyarrow as pa

from pipeline.domain.checkpoint import Checkpoint, StreamState
from pipeline.domain.counts import StreamCounts
from pipeline.domain.finding import Finding
from pipeline.domain.limits import ValueLimits
from pipeline.domain.loading import LoadStep, Migration, Target
from pipeline.domain.quarantine import Waiting
from pipeline.domain.schema import StreamSchema
from pipeline.domain.stream import Mode


@attrs.frozen
class Comparison:
    """How a staging table differs from the rows it should hold; ``compared_count`` counts the rows given, those of keys
    that wait in quarantine left out; ``keys`` is a sample, a canonical JSON text each.
    """

    compared_count: int
    missing_count: int
    extra_count: int
    changed_count: int
    keys: tuple[str, ...] = ()

    @property
    def is_equal(self) -> bool:
        """Whether no row differs."""
        return not self.difference_count

    @property
    def difference_count(self) -> int:
        """How many rows differ."""
        return self.missing_count + self.extra_count + self.changed_count

    def persists(self, before: Comparison) -> bool:
        """Whether a key that differed before may differ still; not if all keys of both are known and have none in
        common.
        """
        knows_all = all(len(found.keys) == found.difference_count for found in (self, before))
        return not knows_all or not set(self.keys).isdisjoint(before.keys)


class Load(AbstractContextManager["Load"], Protocol):
    """One load transaction. Nothing is visible to others before ``commit``; leaving the context without it rolls
    everything back (P1). Methods are called in the order: any number of ``apply`` and ``quarantine``, then
    ``remember`` and ``set_state``, then ``commit``.
    """

    def apply(self, step: LoadStep) -> None:
        """Append the step's changes to the changelog and apply its state to the staging table by the target's mode.

        A row whose stored sequence is newer is never overwritten (P4). See ``LoadStep`` for the exact meaning.
        """
        ...

    def replace(self, target: Target) -> None:
        """Empty the staging table and close its waiting quarantine rows as superseded, before a stream is copied
        again; the changelog keeps its rows. The steps that follow fill the table anew. In history mode current
        versions are not emptied but reconciled: see ``finish_replace``.
        """
        ...

    def finish_replace(self, target: Target) -> None:
        """End a ``replace`` after the last step of the copy, in the same load. In history mode the current versions
        of keys that the copy did not hold are closed: ``valid_to`` is one more than the highest sequence in the
        stream's changelog, ``valid_to_at`` = max(the checkpoint's ``at``, own ``valid_from_at``).
        """
        ...

    def quarantine(self, target: Target, rows: pa.Table) -> None:
        """Set rows apart; ``rows`` follows ``quarantine.QUARANTINE_SCHEMA``."""
        ...

    def remember(self, stream: str, bookmarks: pa.Table, *, replaces: bool = False) -> None:
        """Move bookmarks of a stream, following ``bookmarks.BOOKMARK_SCHEMA``, each name once; ``replaces``: forget all
        others of the stream.
        """
        ...

    def settle(self, target: Target, settled: pa.Table) -> None:
        """Mark waiting quarantine rows; ``settled`` follows ``quarantine.SETTLED_SCHEMA``."""
        ...

    def set_state(self, state: StreamState) -> None:
        """Record what is now known of a stream."""
        ...

    def commit(self, counts: Mapping[str, StreamCounts]) -> None:
        """Write the audit row and commit. Raises ``CommitUnknown`` when the connection was lost meanwhile: read the
        checkpoint to learn what happened.
        """
        ...


class Warehouse(Protocol):
    """A warehouse. Built without connecting. The embedded one holds its file only during a call (or while a ``Load``
    is open), so that dbt and readers get in between.

    One thread loads a group; threads that load other groups may work at the same time, or wait for each other. Another
    one may meanwhile build marts: ``checkpoint``, ``states``, ``changed_since``, ``transformed`` and
    ``set_transformed`` may be called there at any time. They tell what is committed, or wait for an open load to end;
    they are no part of it, neither its commit nor its failure changes what they did, and they do not change what the
    loading threads go on from.

    All methods may raise ``WarehouseUnreachable`` (retry helps) and ``WarehouseError``. After any error the
    transaction is rolled back.
    """

    @property
    def name(self) -> str:
        """The kind and place, for messages; no secret in it."""
        ...

    @property
    def limits(self) -> ValueLimits:
        """The largest values that columns take; rows with larger ones are quarantined before they are loaded (P8)."""
        ...

    def setup(self, group: str) -> None:
        """Create the schemas and the pipeline's own tables where missing. Idempotent.

        Also undoes migrations of the group's streams that have a recorded state, but whose new schema version no load
        ever recorded by ``set_state``: the run died in between (D10). Every table of the group then is what its state
        says; other groups are left alone, since they may be in the middle of a migration. A run of this group may be,
        too: where something is to be undone, the checkpoint is moved to ``claimed`` first, which fences it out.
        Raises ``Fenced`` if it was faster.
        """
        ...

    def checkpoint(self, group: str) -> Checkpoint | None:
        """The group's checkpoint, None if nothing was ever begun. Works before ``setup``, then giving None."""
        ...

    def states(self, group: str) -> dict[str, StreamState]:
        """The recorded state of each stream of the group. Works before ``setup``."""
        ...

    def bookmarks(self, group: str, stream: str) -> pa.Table:
        """The bookmarks of a stream, following ``bookmarks.BOOKMARK_SCHEMA``, in any order. Works before ``setup``."""
        ...

    def intended(self, group: str) -> bool:
        """Whether ``intend`` was recorded; without a checkpoint, a begin was interrupted. Works before ``setup``."""
        ...

    def intend(self, group: str) -> None:
        """Record that the group is about to be begun. Idempotent."""
        ...

    def begin(self, checkpoint: Checkpoint) -> None:
        """Write the group's first checkpoint. Raises ``Fenced`` if it has one."""
        ...

    def reset(self, previous: Checkpoint, checkpoint: Checkpoint) -> None:
        """Replace the checkpoint after the source lost its log; the epoch must rise. Raises ``Fenced``."""
        ...

    def migrate(self, previous: Checkpoint, migrations: Iterable[Migration]) -> Checkpoint:
        """Create or alter tables, idempotently, each step recorded with its schema version. Never part of a load.

        What ``setup`` would undo of the group is undone first, and as there: a migration always starts from the
        recorded state. Returns the checkpoint to go on from: ``previous``, or what it was moved to for that. An
        existing object that is not what the pipeline made is refused with ``SchemaRefused`` before any change.
        """
        ...

    def widens(self, before: pa.DataType, after: pa.DataType) -> bool:
        """Whether this warehouse can change a column's type in place, every value kept."""
        ...

    def load(self, previous: Checkpoint, checkpoint: Checkpoint) -> Load:
        """Open a load: its first statement moves the checkpoint from ``previous`` to ``checkpoint`` by
        compare-and-set and raises ``Fenced`` if another writer moved it (P4).
        """
        ...

    def idle(self, previous: Checkpoint, checkpoint: Checkpoint) -> None:
        """Move the checkpoint alone, at no warehouse cost where the system allows (P12). Raises ``Fenced``."""
        ...

    def rebuild(self, previous: Checkpoint, target: Target) -> Checkpoint:
        """Build the staging table anew in the target's mode from the changelog, and record it, in one transaction.

        It is then what it would be had every load been made in that mode, ``replace`` included: what was loaded
        before one is not resurrected. Before it is shown, the checkpoint is moved from ``previous`` to ``claimed``,
        which is returned: a writer that knows only the former mode is fenced out. Raises ``Fenced`` if another writer
        moved it first, and then changes nothing (P4).
        """
        ...

    def waiting(self, target: Target) -> Waiting:
        """The keys of quarantined rows that still wait."""
        ...

    def compare(self, target: Target, rows: Iterable[pa.Table], *, sample: int = 20) -> Comparison:
        """Compare the rows that the staging table shows as current (not deleted; keys waiting in quarantine left out)
        with ``rows`` (data columns of ``target.schema``), value by value, NaN equal to NaN.
        """
        ...

    def differences(self, target: Target, rows: Iterable[pa.Table]) -> tuple[pa.Table, pa.Table]:
        """For repair: (rows that are missing or changed, as they should be; the keys of rows that should not exist).

        Both are held in memory whole: of a table that differs everywhere, copying it again is the way.
        """
        ...

    def current(self, target: Target) -> pa.Table:
        """The rows that the staging table shows as current, data columns only, for tests and small tables."""
        ...

    def rows(self, target: Target) -> pa.Table:
        """The whole staging table, every version and tombstone, for tests: ``tables.staging_schema(target.schema)``,
        in any order.
        """
        ...

    def changelog(self, target: Target) -> pa.Table:
        """The whole changelog, for tests: ``tables.changelog_schema(target.schema)``, in any order."""
        ...

    def quarantined(self, target: Target) -> pa.Table:
        """Every quarantined row, settled ones too, for tests: ``tables.QUARANTINE_TABLE_SCHEMA``, in any order."""
        ...

    def inspect(self) -> tuple[Finding, ...]:
        """Check connection, privileges and leftovers without changing anything."""
        ...

    def audit(self, group: str, *, limit: int = 20) -> list[dict[str, object]]:
        """The latest loads, newest first: ``load``, ``position`` (its encoding), ``at``, ``seconds`` and ``counts``
        (a ``StreamCounts`` per stream, as given to ``commit``). Idle checkpoints are no loads. Where statements are
        what is paid for, ``statement_count`` tells how many the load's transaction had.
        """
        ...

    def changed_since(self, group: str, load: int) -> frozenset[str]:
        """The streams whose staging tables were changed by loads after number ``load`` (-1: ever), by the audit."""
        ...

    def transformed(self, group: str) -> int:
        """The load number up to which marts were built successfully, -1 if never. Works before ``setup``."""
        ...

    def set_transformed(self, group: str, load: int) -> None:
        """Record that marts were built from everything up to ``load``."""
        ...

    def query(self, sql: str) -> pa.Table:
        """Run a read-only query, for ``status`` and the demo."""
        ...

    def close(self) -> None:
        """Release everything. Safe to call twice."""
        ...


def target_of(state: StreamState, mode: Mode | None = None, schema: StreamSchema | None = None) -> Target:
    """The load target that a recorded state describes."""
    return Target(
        stream=state.stream,
        table=state.table,
        mode=mode or state.mode,
        schema=schema or state.schema,
        schema_version=state.schema_version,
    )
