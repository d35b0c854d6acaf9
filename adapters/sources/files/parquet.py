"""Parquet: values of the file's own types, by row groups, numbered from 1 as lines."""

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


def shapes_of(file: Any) -> dict[str, Shape]:
    """The columns that the footer names."""
    schema = pa.parquet.read_schema(pa.PythonFile(file, mode="r"))
    return {field.name: shape_of_arrow(field.type) for field in schema}


def read_parquet(file: Any, *, wanted: Collection[str] | None) -> Iterator[Block]:
    """The file's rows; only the columns ``wanted``, if given."""
    with pa.parquet.ParquetFile(pa.PythonFile(file, mode="r"), pre_buffer=True) as content:
        names = [name for name in content.schema_arrow.names if wanted is None or name in wanted]
        line = 1
        for batch in content.iter_batches(batch_size=_ROWS, columns=names):
            columns = {name: one_array(batch.column(name)) for name in names}
            yield Block(columns, np.arange(line, line + batch.num_rows, dtype=np.int64))
            line += batch.num_rows
