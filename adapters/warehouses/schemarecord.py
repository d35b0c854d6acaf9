"""A stream's state as a warehouse keeps it: its schema is two texts, one to restore it from exactly, one for people."""

from __future__ import annotations

import base64
import json

import attrs
import pyarrow as pa

from pipeline.domain.checkpoint import Phase, StreamState
from pipeline.domain.position import Position
from pipeline.domain.schema import Column, StreamSchema
from pipeline.domain.stream import Mode

#: What an Arrow field and a row of defaults tell of a column by themselves.
_CARRIED = frozenset({"name", "type", "nullable", "default"})


def encode_schema(schema: StreamSchema) -> str:
    """A schema as text from which it can be restored exactly: an Arrow stream of one row, the columns' defaults."""
    fields, defaults = [], []
    for column in schema.columns:
        facts = attrs.asdict(column, filter=lambda field, _: field.name not in _CARRIED)
        facts["has_default"] = column.default is not None
        fields.append(pa.field(column.name, column.type, column.nullable, {"column": json.dumps(facts)}))
        defaults.append(pa.nulls(1, column.type) if column.default is None else pa.repeat(column.default, 1))
    # a default is stored beside its column, so fields must be able to hold null
    arrow = pa.schema(
        [field.with_nullable(True) for field in fields],
        {"key": json.dumps(schema.key), "required": json.dumps([f.name for f in fields if not f.nullable])},
    )
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, arrow) as writer:
        writer.write_batch(pa.record_batch(defaults, schema=arrow))
    return base64.b64encode(sink.getvalue().to_pybytes()).decode("ascii")


def decode_schema(text: str) -> StreamSchema:
    """The schema that ``encode_schema`` wrote."""
    with pa.ipc.open_stream(base64.b64decode(text)) as reader:
        arrow, row = reader.schema, reader.read_all()
    required = set(json.loads(arrow.metadata[b"required"]))
    columns = []
    for number, field in enumerate(arrow):
        facts = json.loads(field.metadata[b"column"])
        default = row.column(number)[0] if facts.pop("has_default") else None
        columns.append(Column(field.name, field.type, field.name not in required, **facts, default=default))
    return StreamSchema(columns, json.loads(arrow.metadata[b"key"]))


def readable_schema(schema: StreamSchema) -> str:
    """Names, types and key of a schema, for people."""
    columns = [
        {"name": column.name, "type": str(column.type), "source": column.source_type} for column in schema.columns
    ]
    return json.dumps({"columns": columns, "key": list(schema.key)})


def recorded_state(
    stream: str, table: str, mode: str, phase: str, since: str, schema_version: int, arrow_schema: str
) -> StreamState:
    """The state that a row tells."""
    return StreamState(
        stream=stream,
        table=table,
        mode=Mode(mode),
        phase=Phase(phase),
        since=Position.decode(since),
        schema=decode_schema(arrow_schema),
        schema_version=int(schema_version),
    )
