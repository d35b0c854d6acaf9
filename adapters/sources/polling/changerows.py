"""Rows and keys of an extraction as change batches."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from pipeline.domain.change import (
    COMMIT_AT,
    COMMIT_AT_TYPE,
    OLD_KEY,
    OP,
    SEQUENCE,
    UNCHANGED,
    UNCHANGED_TYPE,
    ChangeBatch,
    Misfit,
    change_schema,
)
from pipeline.domain.position import pack_sequences
from pipeline.domain.schema import StreamSchema


def change_batch(
    stream: str,
    schema: StreamSchema,
    rows: pa.Table,
    ops: np.ndarray,
    *,
    epoch: int,
    commit: int,
    commit_at: int,
    phase: int,
    ordinal: int,
    misfits: tuple[Misfit, ...] = (),
) -> ChangeBatch:
    """``rows`` (data columns, or fewer of them where they are keys) as changes with the operation codes ``ops``.

    ``commit`` is the place in the order, ``commit_at`` the time in microseconds; ordinals count up from ``ordinal``.
    """
    arrow = change_schema(schema)
    count = rows.num_rows
    metadata = {
        OP: pa.array(ops.astype(np.int8)),
        SEQUENCE: pack_sequences(epoch, commit, phase, np.arange(ordinal, ordinal + count)),
        COMMIT_AT: pa.repeat(pa.scalar(commit_at, pa.timestamp("us")).cast(COMMIT_AT_TYPE), count),
        UNCHANGED: pa.nulls(count, UNCHANGED_TYPE),
    }
    if schema.key:
        metadata[OLD_KEY] = pa.nulls(count, schema.key_type())
    given = set(rows.column_names)
    columns = [
        metadata[field.name]
        if field.name in metadata
        else rows[field.name].cast(field.type)
        if field.name in given
        else pa.nulls(count, field.type)
        for field in arrow
    ]
    return ChangeBatch(stream, schema, pa.Table.from_arrays(columns, schema=arrow), misfits)


def taken(misfits: tuple[Misfit, ...], mask: np.ndarray) -> tuple[Misfit, ...]:
    """The misfits of the rows in ``mask``, at their places among those."""
    places = np.cumsum(mask) - 1
    kept = []
    for misfit in misfits:
        rows = misfit.rows.to_numpy(zero_copy_only=False)
        inside = mask[rows]
        if inside.any():
            kept.append(misfit.taken(pa.array(inside), pa.array(places[rows[inside]])))
    return tuple(kept)
