"""Avro: values of the file's own schema, numbered from 1 as lines. Its library reads a record at a time.

https://avro.apache.org/docs/1.12.0/specification/#logical-types
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from itertools import islice
from types import ModuleType
from typing import Any

import numpy as np
import pyarrow as pa

from adapters.sources.files.blocks import Block
from adapters.sources.files.typewords import JSON, TEXT, UNKNOWN, Shape, unified
from pipeline.domain.errors import Missing

#: A piece has as many rows as its predecessor shows to take so many bytes.
_FIRST_ROWS, _MOST_ROWS = 500, 20_000
_BYTES = 8 * 1024 * 1024

_PRIMITIVES = {
    "null": pa.null(),
    "boolean": pa.bool_(),
    "int": pa.int32(),
    "long": pa.int64(),
    "float": pa.float32(),
    "double": pa.float64(),
    "bytes": pa.binary(),
    "fixed": pa.binary(),
    "string": pa.string(),
    "enum": pa.string(),
}
_LOGICAL = {
    "date": pa.date32(),
    "time-millis": pa.time64("us"),
    "time-micros": pa.time64("us"),
    "timestamp-millis": pa.timestamp("us", "UTC"),
    "timestamp-micros": pa.timestamp("us", "UTC"),
    "local-timestamp-millis": pa.timestamp("us"),
    "local-timestamp-micros": pa.timestamp("us"),
    "uuid": pa.string(),
}


def shapes_of(stream: Any) -> dict[str, Shape]:
    """The columns that the file's schema names."""
    schema = _fastavro().reader(stream).writer_schema
    return _shapes(schema)


def read_avro(stream: Any, *, wanted: Collection[str] | None) -> Iterator[Block]:
    """The file's rows; only the columns ``wanted``, if given."""
    reader = _fastavro().reader(stream)
    shapes = {name: shape for name, shape in _shapes(reader.writer_schema).items() if wanted is None or name in wanted}
    line, size = 1, _FIRST_ROWS
    while records := list(islice(reader, size)):
        columns = {name: _array([record[name] for record in records], shape) for name, shape in shapes.items()}
        yield Block(columns, np.arange(line, line + len(records), dtype=np.int64))
        line += len(records)
        row_bytes = sum(values.nbytes for values in columns.values()) / len(records)
        size = int(min(_MOST_ROWS, max(_BYTES / max(row_bytes, 1), 1)))


def _fastavro() -> ModuleType:
    try:
        import fastavro
    except ImportError:
        raise Missing(
            "the reader of Avro files is not installed", hint="Install realtime-data-pipeline[avro]."
        ) from None
    module: ModuleType = fastavro
    return module


def _shapes(schema: Any) -> dict[str, Shape]:
    if not isinstance(schema, dict) or schema.get("type") != "record":
        raise ValueError("rows of an Avro file are records")
    return {field["name"]: _shape(field["type"]) for field in schema["fields"]}


def _shape(schema: Any) -> Shape:
    if isinstance(schema, list):
        found = UNKNOWN
        for branch in schema:
            found = unified(found, _shape(branch))
        return found
    if isinstance(schema, str):
        return Shape(_PRIMITIVES[schema]) if schema in _PRIMITIVES else JSON  # a name is a record's, mostly
    logical = schema.get("logicalType")
    if logical == "decimal" and 0 < schema["precision"] <= 38:
        return Shape(pa.decimal128(schema["precision"], schema.get("scale", 0)))
    if logical in _LOGICAL:
        return Shape(_LOGICAL[logical])
    kind = schema["type"]
    if isinstance(kind, dict | list):
        return _shape(kind)
    return Shape(_PRIMITIVES[kind]) if kind in _PRIMITIVES else JSON


def _array(values: list[Any], shape: Shape) -> pa.Array:
    if shape.json:
        return pa.array([None if value is None else _text(value) for value in values], pa.string())
    if shape == TEXT:
        return pa.array([None if value is None else str(value) for value in values], pa.string())
    return pa.array(values, shape.type)


def _text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=_odd)


def _odd(value: Any) -> object:
    return value.hex() if isinstance(value, bytes) else str(value)
