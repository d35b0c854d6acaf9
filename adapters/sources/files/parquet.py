"""Parquet: values of the file's own types, by row groups, numbered from 1 as lines.

What is held of a file is one row group as it is stored, and a piece of its rows: neither the whole file, nor rows of
any width by the ten thousands (P11).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet

from adapters.sources.files.blocks import Block
from adapters.sources.files.typewords import Shape, shape_of_arrow
from pipeline.domain.valuetext import one_array

_ROWS = 65_536
_BYTES = 8 * 1024 * 1024

#: So many rows are decoded at once at most; what they take shows only then, where values are stored as a dictionary.
_STEP_ROWS = 8_192


def shapes_of(file: Any) -> dict[str, Shape]:
    """The columns that the footer names."""
    schema = pa.parquet.read_schema(pa.PythonFile(file, mode="r"))
    return {field.name: shape_of_arrow(field.type) for field in schema}


def read_parquet(file: Any, *, wanted: Collection[str] | None) -> Iterator[Block]:
    """The file's rows; only the columns ``wanted``, if given."""
    with pa.parquet.ParquetFile(pa.PythonFile(file, mode="r"), pre_buffer=True) as content:
        names = [name for name in content.schema_arrow.names if wanted is None or name in wanted]
        line = 1
        for rows in _pieces(content, names):
            columns = {name: one_array(rows.column(name)) for name in names}
            yield Block(columns, np.arange(line, line + rows.num_rows, dtype=np.int64))
            line += rows.num_rows


def _pieces(content: pa.parquet.ParquetFile, names: list[str]) -> Iterator[pa.Table]:
    for number in range(content.num_row_groups):
        # Each group by a call of its own: what a call buffers ahead, it holds to its end.
        batches = content.iter_batches(
            batch_size=_step_rows(content.metadata.row_group(number)), row_groups=[number], columns=names
        )
        held: list[pa.RecordBatch] = []
        for batch in batches:
            held.append(batch)
            if sum(part.num_rows for part in held) >= _ROWS or sum(part.nbytes for part in held) >= _BYTES:
                yield pa.Table.from_batches(held)
                held = []
        if held:
            yield pa.Table.from_batches(held)


def _step_rows(group: pa.parquet.RowGroupMetaData) -> int:
    row_bytes = group.total_byte_size / max(group.num_rows, 1)
    return int(min(_STEP_ROWS, max(_BYTES / max(row_bytes, 1), 16)))
