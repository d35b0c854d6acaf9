"""Row changes of one relation in one stretch of the log, as a change table.

Finding the stretches and joining them to the pieces of a stream is ``pgoutput``'s.
"""

from __future__ import annotations

from collections.abc import Mapping

import attrs
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from adapters.sources.postgres.frames import Frames, malformed
from adapters.sources.postgres.relation import TrackedRelation
from adapters.sources.postgres.tuples import Field, walk
from adapters.sources.postgres.values import parse
from pipeline.domain.change import COMMIT_AT_TYPE, UNCHANGED_TYPE, ChangeBatch, Misfit, Operation, change_schema
from pipeline.domain.errors import SchemaRefused
from pipeline.domain.position import PHASE_LOG, pack_sequences

_NEW, _OLD_KEY, _OLD_ROW = b"NKO"
_MISSING_KEY = "key value that the log does not carry"

#: Operation codes by the byte of the message.
OPERATIONS = np.full(256, -1, dtype=np.int8)
OPERATIONS[list(b"IUDT")] = [Operation.INSERT, Operation.UPDATE, Operation.DELETE, Operation.TRUNCATE]


@attrs.frozen(eq=False)
class Stretch:
    """Changes of one relation under one description: a frame, commit LSN, commit time and ordinal for each.

    ``place`` counts the changes of all relations in the log as it was fed, for ordering stretches among each other.
    """

    tracked: TrackedRelation
    frame: np.ndarray
    commit_lsn: np.ndarray
    commit_at: np.ndarray
    ordinal: np.ndarray
    place: np.ndarray

    def at(self, rows: np.ndarray) -> Stretch:
        """Some of the changes only."""
        return Stretch(
            self.tracked,
            frame=self.frame[rows],
            commit_lsn=self.commit_lsn[rows],
            commit_at=self.commit_at[rows],
            ordinal=self.ordinal[rows],
            place=self.place[rows],
        )


def row_changes(frames: Frames, stretch: Stretch, *, epoch: int) -> ChangeBatch:
    """Inserts, updates and deletes. Raises ``SourceError`` where a message is not as the relation says."""
    tracked = stretch.tracked
    start = frames.starts[stretch.frame]
    operations = OPERATIONS[frames.kinds[stretch.frame]]
    fields, older, replaced = _fields(frames, stretch, operations=operations)
    columns = [column for column in tracked.columns if column is not None]
    texts = [field.texts(frames) for field in fields]
    values: list[pa.Array] = []
    misfits: list[Misfit] = []
    for column, array in zip(columns, texts, strict=True):
        parsed, odd = parse(column, array)
        values.append(parsed)
        misfits += [Misfit(column.name, rows, shown, reason) for rows, shown, reason in odd]
    arrays = [
        *values,
        *_metadata(stretch, operations=operations, epoch=epoch),
        _unchanged(tracked, fields, size=len(start)),
    ]
    schema = change_schema(tracked.schema)
    if tracked.schema.key:
        keys = [tracked.schema.names.index(name) for name in tracked.schema.key]
        partial = (operations == Operation.DELETE) & (frames.bytes[start + 5] == _OLD_KEY)
        misfits += _missing_keys(tracked, [fields[key] for key in keys], partial)
        old = [older[key].texts(frames) for key in keys] if len(replaced) else []
        struct, odd_keys = _old_keys(
            tracked, old, new=[(texts[key], values[key]) for key in keys], rows=replaced, size=len(start)
        )
        arrays.append(struct)
        misfits += odd_keys
    return ChangeBatch(tracked.stream, tracked.schema, pa.Table.from_arrays(arrays, schema=schema), tuple(misfits))


def truncates(stretch: Stretch, emptied: Mapping[int, tuple[int, ...]], *, epoch: int) -> ChangeBatch:
    """Truncates: rows without any value. ``emptied`` gives the relations that each frame empties.

    Raises ``SchemaRefused`` where not all partitions of a stream are emptied: which rows are gone is not in the log.
    """
    leaves = stretch.tracked.leaves
    if any(not leaves.issubset(emptied[frame]) for frame in stretch.frame.tolist()):
        raise SchemaRefused(
            "a partition was truncated by itself, and the log does not tell which rows it held",
            where=f"stream {stretch.tracked.stream}",
            hint=f"Copy the stream again: resync {stretch.tracked.stream}.",
            case="partition",
        )
    schema = change_schema(stretch.tracked.schema)
    count = len(stretch.frame)
    operations = np.full(count, Operation.TRUNCATE, dtype=np.int8)
    given = _metadata(stretch, operations=operations, epoch=epoch)
    before = len(stretch.tracked.schema.columns)
    after = range(before + len(given), len(schema))
    arrays = [pa.nulls(count, schema.field(index).type) for index in range(before)]
    arrays += [*given, *(pa.nulls(count, schema.field(index).type) for index in after)]
    return ChangeBatch(stretch.tracked.stream, stretch.tracked.schema, pa.Table.from_arrays(arrays, schema=schema))


def _fields(frames: Frames, stretch: Stretch, *, operations: np.ndarray) -> tuple[list[Field], list[Field], np.ndarray]:
    """The fields as they are after each change; those before it, for the updates that tell; and which these are."""
    wanted = tuple(column is not None for column in stretch.tracked.columns)
    at = frames.starts[stretch.frame] + 5
    markers = frames.bytes[at]
    is_old = (markers == _OLD_KEY) | (markers == _OLD_ROW)
    expected = np.where(operations == Operation.DELETE, is_old, markers == _NEW)
    expected |= (operations == Operation.UPDATE) & is_old
    if not expected.all():
        raise malformed("a row is of a kind that its message cannot have")
    first, ends = walk(frames, at + 1, wanted=wanted)
    current = [field for field in first if field is not None]
    older: list[Field] = []
    replaced = np.flatnonzero((operations == Operation.UPDATE) & is_old)
    if len(replaced):
        after = ends[replaced]
        if (frames.bytes[after] != _NEW).any():
            raise malformed("an update has no new row")
        second, ends_after = walk(frames, after + 1, wanted=wanted)
        newer = [field for field in second if field is not None]
        older = [field.at(replaced) for field in current]
        current = [field.merge(replaced, new) for field, new in zip(current, newer, strict=True)]
        ends = ends.copy()
        ends[replaced] = ends_after
    if (ends != frames.ends[stretch.frame]).any():
        raise malformed("a row does not end where its message ends")
    return current, older, replaced


def _metadata(stretch: Stretch, *, operations: np.ndarray, epoch: int) -> list[pa.Array]:
    return [
        pa.array(operations),
        pack_sequences(epoch, stretch.commit_lsn, PHASE_LOG, stretch.ordinal),
        pa.array(stretch.commit_at).view(COMMIT_AT_TYPE),
    ]


def _unchanged(tracked: TrackedRelation, fields: list[Field], *, size: int) -> pa.Array:
    marked = {index: field.unchanged for index, field in enumerate(fields) if field.unchanged is not None}
    if not marked:
        return pa.nulls(size, UNCHANGED_TYPE)
    matrix = np.stack(list(marked.values()), axis=1)
    counts = matrix.sum(axis=1)
    offsets = np.zeros(len(counts) + 1, dtype=np.int32)
    np.cumsum(counts, out=offsets[1:])
    names = pa.array([tracked.schema.columns[index].name for index in marked], pa.string())
    values = names.take(pa.array(np.nonzero(matrix)[1]))
    return pa.ListArray.from_arrays(pa.array(offsets), values, type=UNCHANGED_TYPE, mask=pa.array(counts == 0))


def _missing_keys(tracked: TrackedRelation, keys: list[Field], partial: np.ndarray) -> list[Misfit]:
    """Deletes that name their row by other columns than the key: nothing can be deleted by them."""
    misfits = []
    for name, field in zip(tracked.schema.key, keys, strict=True):
        if field.absent is None or not (lost := np.flatnonzero(field.absent & partial)).size:
            continue
        misfits.append(Misfit(name, pa.array(lost, pa.int64()), pa.nulls(len(lost), pa.string()), _MISSING_KEY))
    return misfits


def _old_keys(
    tracked: TrackedRelation,
    old: list[pa.Array],
    *,
    new: list[tuple[pa.Array, pa.Array]],
    rows: np.ndarray,
    size: int,
) -> tuple[pa.Array, list[Misfit]]:
    """The keys before the updates at ``rows``, where they differ in value; and old key values that do not fit."""
    nothing = pa.nulls(size, tracked.schema.key_type())
    if not len(rows):
        return nothing, []
    at = pa.array(rows)
    differ = [_distinct(before, texts.take(at)) for before, (texts, _) in zip(old, new, strict=True)]
    suspects = np.flatnonzero(np.logical_or.reduce(differ))
    if not len(suspects):
        return nothing, []
    changed = np.zeros(len(suspects), dtype=bool)
    parsed: list[pa.Array] = []
    misfits: list[Misfit] = []
    for name, before, (_, values), differs in zip(tracked.schema.key, old, new, differ, strict=True):
        array, odd = parse(tracked.schema.column(name), before.take(pa.array(suspects)))
        same = pc.equal(array, values.take(pa.array(rows[suspects])))
        changed |= differs[suspects] & ~_flags(same)
        parsed.append(array)
        misfits += [Misfit(name, pa.array(rows[suspects[lost]]), shown, why) for lost, shown, why in odd]
    keys = pa.StructArray.from_arrays(parsed, fields=list(tracked.schema.key_type()))
    places = np.full(size, -1, dtype=np.int64)
    places[rows[suspects[changed]]] = np.flatnonzero(changed)
    return keys.take(pa.array(places, mask=places < 0)), misfits


def _distinct(left: pa.Array, right: pa.Array) -> np.ndarray:
    """Where texts differ, null being a value like any other."""
    equal = _flags(pc.equal(left, right))
    distinct: np.ndarray = ~(equal | (_flags(pc.is_null(left)) & _flags(pc.is_null(right))))
    return distinct


def _flags(marks: pa.Array) -> np.ndarray:
    return np.asarray(pc.fill_null(marks, False))
