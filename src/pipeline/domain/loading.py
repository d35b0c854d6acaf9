"""Load plans as data: what a warehouse has to do for one piece of one stream, decided without touching it."""

from __future__ import annotations

from datetime import datetime

import attrs
import pyarrow as pa

from pipeline.domain.counts import StreamCounts
from pipeline.domain.schema import Column, StreamSchema
from pipeline.domain.stream import Mode

#: Extra columns of a compacted state table beside the data columns and ``_cdc_op``, ``_cdc_sequence``,
#: ``_cdc_commit_at`` and ``_cdc_unchanged``.
BASE_KEY = "_cdc_base_key"


@attrs.frozen
class Target:
    """A staging table to load: its name in every schema, mode, and the union schema its tables have now."""

    stream: str
    table: str
    mode: Mode
    schema: StreamSchema
    schema_version: int = 1


@attrs.frozen
class Truncation:
    """All rows present before ``sequence`` (packed) are gone, by a TRUNCATE committed at ``commit_at``."""

    sequence: int
    commit_at: datetime


@attrs.frozen(eq=False)
class LoadStep:
    """One piece of a stream, loaded in order within the transaction.

    ``changes`` follows ``change_schema(target.schema)`` and is appended to the changelog as it is. Then, unless the
    mode is append, ``truncate`` (if any) is applied to the staging table, and after it ``state``:
    one row per key (mirror, soft_delete) or per key and commit (history), in sequence order, with the data columns and

    - ``_cdc_op`` int8: ``DELETE``, or the operation of the last change for a row that exists afterwards;
    - ``_cdc_sequence``, ``_cdc_commit_at``: of the last change;
    - ``_cdc_unchanged`` list<string>: columns whose value is to be taken from the base row, null if none. On a
      delete in soft_delete and history mode: every column whose last value is not known here;
    - ``_cdc_base_key`` struct of the key columns: the key, before this piece, of the staging row that unchanged
      columns are taken from; null where nothing is taken. In history mode the base may instead be an earlier row of
      ``state`` itself, then the value was already filled in.

    All base rows are read before any row is written, so that keys can be swapped within a piece.
    The old key of a key change appears as a row of its own, a delete, unless the key was given again.

    ``is_copy`` says that the changes are rows of a snapshot, each key once: the state is the changes as they are, and
    such steps of one copy may be put together (``planning.plan_copy``) as suits the warehouse.
    """

    target: Target
    changes: pa.Table
    state: pa.Table
    truncate: Truncation | None = None
    counts: StreamCounts = attrs.field(factory=StreamCounts)
    is_copy: bool = False


@attrs.frozen
class AddColumn:
    """Add a column; rows that exist show ``column.default`` (null without one)."""

    column: Column


@attrs.frozen
class ChangeType:
    """Give an existing column a wider type."""

    column: Column


@attrs.frozen
class RenameColumn:
    """Give an existing column another name, its values staying."""

    name: str
    column: Column


@attrs.frozen
class DropColumn:
    """The source no longer has the column: it stays in the warehouse, nullable, null in new rows."""

    name: str


SchemaChange = AddColumn | ChangeType | RenameColumn | DropColumn


@attrs.frozen
class Migration:
    """The DDL side of a load for one stream: create its tables, or bring them from ``before`` to ``target.schema``.

    ``before`` is None when the tables are to be created. Applying a migration twice leaves what once leaves.
    """

    target: Target
    before: StreamSchema | None = None
    changes: tuple[SchemaChange, ...] = ()
