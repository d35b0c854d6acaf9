"""Parquet: values of the file's own types, by row groups, numbered from 1 as lines.

What is held of a file is one row group as it is stored, and a piece of its rows: neither the whole file, nor rows of
any width by the ten thousands (P11). Texts that are stored by a dictionary are cut by their length before they are
decoded; where they are within lists or structs, or stored partly so, their width does not show before.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from itertools import chain, groupby
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet

from adapters.sources.files.blocks import Block
from adapters.sources.files.typewords import Shape, shape_of_arrow
from pipeline.domain.valuetext import one_array

_ROWS = 65_536
_BYTES = 8 * 1024 * 1024

#: So many rows are decoded at once at most.
_STEP_ROWS = 8_192

#: Numbers of a dictionary's values take so many bytes each at most, and a column of few rows so many for all else.
_INDEX_BYTES, _PAGES_BYTES = 3, 16 * 1024


def shapes_of(file: Any) -> dict[str, Shape]:
    """The columns that the footer names."""
    schema = pa.parquet.read_schema(pa.PythonFile(file, mode="r"))
    return {field.name: shape_of_arrow(field.type) for field in schema}


def read_parquet(file: Any, *, wanted: Collection[str] | None) -> Iterator[Block]:
    """The file's rows; only the columns ``wanted``, if given."""
    stored = pa.PythonFile(file, mode="r")
    with pa.parquet.ParquetFile(stored) as content:
        names = [name for name in content.schema_arrow.names if wanted is None or name in wanted]
        kinds, groups = content.schema_arrow, content.metadata
    line = 1
    for dictionaries, numbers in groupby(
        range(groups.num_row_groups), lambda n: _dictionaries(groups.row_group(n), kinds)
    ):
        with pa.parquet.ParquetFile(stored, metadata=groups, pre_buffer=True, read_dictionary=dictionaries) as content:
            for rows in _pieces(content, numbers, names, kinds):
                columns = {name: one_array(rows.column(name)) for name in names}
                yield Block(columns, np.arange(line, line + rows.num_rows, dtype=np.int64))
                line += rows.num_rows


def _pieces(
    content: pa.parquet.ParquetFile, numbers: Iterable[int], names: list[str], kinds: pa.Schema
) -> Iterator[pa.Table]:
    for number in numbers:
        # Each group by a call of its own: what a call buffers ahead, it holds to its end.
        batches = content.iter_batches(
            batch_size=_step_rows(content.metadata.row_group(number)), row_groups=[number], columns=names
        )
        held: list[pa.RecordBatch] = []
        row_count = byte_count = 0
        for part in chain.from_iterable(_decoded(batch, kinds) for batch in batches):
            held.append(part)
            row_count, byte_count = row_count + part.num_rows, byte_count + part.nbytes
            if row_count >= _ROWS or byte_count >= _BYTES:
                yield pa.Table.from_batches(held)
                held, row_count, byte_count = [], 0, 0
        if held:
            yield pa.Table.from_batches(held)


def _step_rows(group: pa.parquet.RowGroupMetaData) -> int:
    row_bytes = group.total_byte_size / max(group.num_rows, 1)
    return int(min(_STEP_ROWS, max(_BYTES / max(row_bytes, 1), 16)))


def _dictionaries(group: pa.parquet.RowGroupMetaData, kinds: pa.Schema) -> list[str]:
    """The columns of texts or bytes of which all values seem to be stored by a dictionary, and may be wide."""
    found = []
    rows = min(group.num_rows, _step_rows(group))
    for number in range(group.num_columns):
        column = group.column(number)
        name = column.path_in_schema
        if column.total_uncompressed_size * rows <= _BYTES or not column.has_dictionary_page:
            continue
        if "." in name or not _is_sized(kinds.field(name).type):
            continue
        data_bytes = column.total_compressed_size - (column.data_page_offset - column.dictionary_page_offset)
        if data_bytes <= column.num_values * _INDEX_BYTES + _PAGES_BYTES:
            found.append(name)
    return found


def _is_sized(kind: pa.DataType) -> bool:
    return any(
        test(kind)
        for test in (pa.types.is_string, pa.types.is_large_string, pa.types.is_binary, pa.types.is_large_binary)
    )


def _decoded(batch: pa.RecordBatch, kinds: pa.Schema) -> Iterator[pa.RecordBatch]:
    """The rows with values in place of dictionaries, in parts of the bytes that a piece may have."""
    coded = [name for name in batch.schema.names if batch.column(name).type != kinds.field(name).type]
    half = batch.num_rows // 2
    if half and sum(_value_bytes(batch.column(name)) for name in coded) > _BYTES:
        yield from _decoded(batch.slice(0, half), kinds)
        yield from _decoded(batch.slice(half), kinds)
        return
    for name in coded:
        values = batch.column(name).dictionary_decode().cast(kinds.field(name).type)
        batch = batch.set_column(batch.schema.get_field_index(name), name, values)
    yield batch


def _value_bytes(column: pa.DictionaryArray) -> int:
    """What the values take, or a bound of it if that is small."""
    lengths = pc.binary_length(column.dictionary)
    most = (pc.max(lengths).as_py() or 0) * len(column)
    return most if most <= _BYTES else pc.sum(lengths.take(column.indices)).as_py() or 0
