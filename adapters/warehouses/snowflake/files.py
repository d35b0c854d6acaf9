"""Tables as Parquet files for the stage, and how SQL reads their columns; results of queries with the domain's types.

Columns of files have the names ``c0``, ``c1`` and so on, since paths into files know no quoting that all names survive.
Timestamps are in microseconds; documents and lists travel as their JSON texts. Uploading is ``uploading``'s.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import attrs
import pyarrow as pa
import pyarrow.compute as pc

from adapters.warehouses.snowflake.statement import quote
from adapters.warehouses.snowflake.types import INSTANT, is_document, is_list, sql_type
from pipeline.domain.canonical import decode_values
from pipeline.domain.schema import StreamSchema
from pipeline.domain.valuetext import literals, one_array

#: The stage that files wait in, and the format by which they are read. Names of ours: nothing in them needs quoting.
#: One that is there is not altered: with other options the format gets another number.
STAGE = "@PIPELINE.LOADS"
FORMAT = "PIPELINE.PARQUET_2"

#: What reading a file must not do: guess what bytes mean, take texts for missing values, drop a day's unit, or change
#: when the service's default does: https://docs.snowflake.com/en/sql-reference/sql/create-file-format
FORMAT_OPTIONS = (
    "TYPE = PARQUET USE_LOGICAL_TYPE = TRUE USE_VECTORIZED_SCANNER = FALSE"
    " BINARY_AS_TEXT = FALSE TRIM_SPACE = FALSE NULL_IF = ()"
)


@attrs.frozen
class FileColumn:
    """A column of a file: its name in tables, and its type."""

    name: str
    type: pa.DataType
    json: bool = False


def file_columns(schema: pa.Schema, *, data: StreamSchema | None = None) -> tuple[FileColumn, ...]:
    """The columns of a table of ``schema``; ``data`` tells which of them hold JSON."""
    documents = {column.name for column in data.columns if column.json} if data else set()
    return tuple(FileColumn(field.name, field.type, json=field.name in documents) for field in schema)


def reading(columns: Sequence[FileColumn]) -> tuple[str, ...]:
    """The expressions over a file that give its columns, in order."""
    return tuple(_read(column, f"$1:c{number}") for number, column in enumerate(columns))


def from_file(columns: Sequence[FileColumn], path: str) -> str:
    """A SELECT over one staged file, ``path`` being its place within the stage."""
    named = (f"{text} AS {quote(column.name)}" for text, column in zip(reading(columns), columns, strict=True))
    return f"SELECT {', '.join(named)}\nFROM {STAGE}/{path} (FILE_FORMAT => '{FORMAT}')"


def as_file(table: pa.Table, columns: Sequence[FileColumn]) -> pa.Table:
    """The table as it is written to a file."""
    arrays = [_to_file(table[number], column) for number, column in enumerate(columns)]
    return pa.Table.from_arrays(arrays, names=[f"c{number}" for number in range(len(arrays))])


def showing(columns: Iterable[FileColumn], alias: str = "") -> str:
    """The expressions of a SELECT over a table that ``shown`` understands."""
    prefix = f"{alias}." if alias else ""
    return ", ".join(
        f"TO_JSON({prefix}{quote(column.name)}) AS {quote(column.name)}"
        if is_document(column.type, json=column.json)
        else f"{prefix}{quote(column.name)}"
        for column in columns
    )


def shown(result: pa.Table, schema: pa.Schema) -> pa.Table:
    """The result of a SELECT of ``showing`` with the names and types of ``schema``."""
    arrays = [_from_result(result.column(number), field.type) for number, field in enumerate(schema)]
    return pa.Table.from_arrays(arrays, schema=schema)


def _read(column: FileColumn, place: str) -> str:
    if column.json or pa.types.is_struct(column.type):
        return f"PARSE_JSON({place}::VARCHAR, 'd')"
    if is_list(column.type):
        return f"PARSE_JSON({place}::VARCHAR)::ARRAY"
    kind = sql_type(column.type)
    return f"{place}::TIMESTAMP_NTZ(6)::{INSTANT}" if kind == INSTANT else f"{place}::{kind}"


def _to_file(values: pa.ChunkedArray, column: FileColumn) -> pa.ChunkedArray | pa.Array:
    kind = column.type
    if is_document(kind) and not column.json:
        text = literals(one_array(values)).cast(pa.string())
        return pc.if_else(one_array(values).is_valid(), text, pa.scalar(None, pa.string()))
    if pa.types.is_timestamp(kind):
        # without a zone in the file, what reads it needs to know of none: instants are in UTC, as the session is
        return values.cast(pa.timestamp("us", kind.tz)).cast(pa.int64()).cast(pa.timestamp("us"))
    return values.cast(_FILE_TYPES.get(kind, kind))


_FILE_TYPES = {
    pa.string_view(): pa.string(),
    pa.binary_view(): pa.binary(),
    pa.date64(): pa.date32(),
    pa.time32("s"): pa.time64("us"),
    pa.time32("ms"): pa.time64("us"),
    pa.uint64(): pa.decimal128(20, 0),
}


def _from_result(values: pa.ChunkedArray, kind: pa.DataType) -> pa.ChunkedArray | pa.Array:
    if is_document(kind):
        return decode_values(kind, values.to_pylist())
    if pa.types.is_timestamp(kind) and kind.tz and not getattr(values.type, "tz", None):
        return values.cast(pa.timestamp(kind.unit)).cast(pa.int64()).cast(kind)
    return values.cast(kind)
