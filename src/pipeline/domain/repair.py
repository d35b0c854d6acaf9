"""Turns rows that a verification found to differ into changes that mend them.

Finding them is the warehouse's comparison; loading the changes goes the way of all changes.
"""

from __future__ import annotations

from datetime import datetime

import numpy as np
import pyarrow as pa

from pipeline.domain.change import COMMIT_AT, OP, SEQUENCE, Operation, change_schema
from pipeline.domain.position import PHASE_SNAPSHOT, pack_sequences
from pipeline.domain.schema import StreamSchema


def repair_changes(
    schema: StreamSchema, wanted: pa.Table, extra: pa.Table, *, epoch: int, commit: int, commit_at: datetime
) -> pa.Table:
    """A change table: ``extra`` (keys of rows that should not exist) deleted, ``wanted`` (rows as they should be)
    given anew.

    Sequences are of the snapshot phase at ``commit``, the position of the comparison, so they are newer than every
    change before it and older than every change after it.
    """
    keys = _schema_table(schema, extra)
    rows = _schema_table(schema, wanted)
    count = keys.num_rows + rows.num_rows
    operations = np.full(count, Operation.SNAPSHOT, dtype=np.int8)
    operations[: keys.num_rows] = Operation.DELETE
    data = pa.concat_tables([keys, rows])
    given = {
        **{name: data.column(name) for name in schema.names},
        OP: pa.array(operations),
        SEQUENCE: pack_sequences(epoch, commit, PHASE_SNAPSHOT, np.arange(count)),
        COMMIT_AT: pa.repeat(pa.scalar(commit_at, pa.timestamp("us", tz="UTC")), count),
    }
    fields = change_schema(schema)
    return pa.table([given.get(field.name, pa.nulls(count, field.type)) for field in fields], schema=fields)


def _schema_table(schema: StreamSchema, table: pa.Table) -> pa.Table:
    """``table`` with every data column of the schema, null where it has none."""
    fields = schema.arrow()
    columns = [
        table.column(field.name).cast(field.type)
        if field.name in table.column_names
        else pa.nulls(table.num_rows, field.type)
        for field in fields
    ]
    return pa.table(columns, schema=fields)
