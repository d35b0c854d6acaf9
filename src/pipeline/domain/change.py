"""Changes of one stream as an Arrow table: the unit of work of the whole pipeline.

Reading changes is a source adapter's work; reducing them to a state per key is ``compaction``'s.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum

import attrs
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.domain.position import SEQUENCE_TYPE, Position
from pipeline.domain.schema import StreamSchema

OP = "_cdc_op"
SEQUENCE = "_cdc_sequence"
COMMIT_AT = "_cdc_commit_at"
OLD_KEY = "_cdc_old_key"
UNCHANGED = "_cdc_unchanged"

COMMIT_AT_TYPE = pa.timestamp("us", tz="UTC")
UNCHANGED_TYPE = pa.list_(pa.string())


class Operation(IntEnum):
    """What a change did. Stored in tables by ``label``."""

    INSERT = 0
    UPDATE = 1
    DELETE = 2
    TRUNCATE = 3
    SNAPSHOT = 4

    @property
    def label(self) -> str:
        """The word stored in changelogs and staging tables."""
        return self.name.lower()


#: Labels by operation code, for dictionary-encoding a whole column at once.
OPERATION_LABELS = pa.array([operation.label for operation in Operation], pa.string())


def change_schema(schema: StreamSchema) -> pa.Schema:
    """The Arrow schema of a stream's change table: the data columns, then the metadata columns.

    - ``_cdc_op`` int8: an ``Operation`` code;
    - ``_cdc_sequence`` decimal128(38, 0): the packed ``Sequence``, strictly rising within the table;
    - ``_cdc_commit_at`` timestamp[us, UTC]: when the source committed;
    - ``_cdc_unchanged`` list<string>: names of columns whose value the log left out because the update did not touch
      it (the data column is null there); null where every column is given;
    - ``_cdc_old_key`` struct of the key columns: the key before the change where the change altered it, else null.
      Absent when the stream has no key.

    Of a delete the key columns are given, the others may be null. Of a truncate all data columns are null.
    """
    fields = list(schema.arrow())
    fields += [
        pa.field(OP, pa.int8()),
        pa.field(SEQUENCE, SEQUENCE_TYPE),
        pa.field(COMMIT_AT, COMMIT_AT_TYPE),
        pa.field(UNCHANGED, UNCHANGED_TYPE),
    ]
    if schema.key:
        fields.append(pa.field(OLD_KEY, schema.key_type()))
    return pa.schema(fields)


@attrs.frozen(eq=False)
class Misfit:
    """Values of one column that its type cannot hold (NaN in a decimal, ``infinity`` in a date, 10,000 digits).

    ``rows`` are indices into the batch's table, where the data column is null; ``texts`` the values as the source
    wrote them, for quarantine only; ``reason`` a phrase without values; ``places`` where the source has each, if no
    column tells it. ``names`` are what rows without a usable key are known by; a delete that has one loads nothing: it
    closes what was set apart under it.
    """

    column: str
    rows: pa.Int64Array
    texts: pa.StringArray
    reason: str
    places: pa.StringArray | None = None
    names: pa.StringArray | None = None

    @property
    def told(self) -> pa.StringArray:
        """The values as quarantine shows them, with their places."""
        return self.texts if self.places is None else pc.binary_join_element_wise(self.places, self.texts, ": ")

    def taken(self, mask: pa.BooleanArray, rows: pa.Int64Array) -> Misfit:
        """Those of its values that ``mask`` takes, which now stand in ``rows``."""
        places = None if self.places is None else self.places.filter(mask)
        names = None if self.names is None else self.names.filter(mask)
        return attrs.evolve(self, rows=rows, texts=self.texts.filter(mask), places=places, names=names)


@attrs.frozen(eq=False)
class ChangeBatch:
    """Changes of one stream in order, all under one schema; ``table`` follows ``change_schema(schema)``."""

    stream: str
    schema: StreamSchema
    table: pa.Table
    misfits: tuple[Misfit, ...] = ()

    @property
    def row_count(self) -> int:
        """How many changes the batch holds."""
        return int(self.table.num_rows)


@attrs.frozen(eq=False)
class GroupBatch:
    """All changes of a group's streams between two positions; whole transactions only.

    ``after`` is exclusive, ``up_to`` inclusive and becomes the checkpoint. ``pieces`` gives the batches of each
    stream in order; it may read them from disk one at a time, so iterate it once and do not keep what it yields.
    ``schemas`` lists, for each stream that changed, the schemas of its pieces in order, known without reading them.
    ``covered_counts`` are the changes per stream that were read and skipped since they lie at or before the
    stream's consistent point.
    ``byte_count`` is the log that was read. An empty batch (no schemas) only moves the position; its ``byte_count`` is
    the log that it passed over. ``bookmarks`` are what a source without a log wants to be given again, by stream, once
    the batch is loaded; see ``bookmarks.BOOKMARK_SCHEMA``.
    """

    after: Position
    up_to: Position
    schemas: dict[str, tuple[StreamSchema, ...]]
    pieces: Pieces
    transaction_count: int = 0
    covered_counts: dict[str, int] = attrs.field(factory=dict)
    first_commit_at: float | None = None
    last_commit_at: float | None = None
    row_count: int = 0
    byte_count: int = 0
    bookmarks: dict[str, pa.Table] = attrs.field(factory=dict)

    @property
    def is_empty(self) -> bool:
        """Whether the batch holds nothing to load: no change of any stream, and nothing to remember."""
        return not self.schemas and not self.bookmarks


#: The batches of a group batch in order, per stream; re-iterable only where it is a tuple or list.
Pieces = Sequence[ChangeBatch]
