"""Schemas of streams, and the Arrow schemas of their change tables."""

from __future__ import annotations

import pyarrow as pa
import pytest

from pipeline.domain.change import change_schema
from pipeline.domain.schema import Column, StreamSchema

SCHEMA = StreamSchema([Column("a", pa.string()), Column("id", pa.int64(), nullable=False)], key=["id"])


def test_a_column_is_called_in_the_source_as_in_the_warehouse_unless_said_otherwise() -> None:
    assert Column("a", pa.string()).source_name == "a"
    assert Column("a_2", pa.string(), source_name="A").source_name == "A"


def test_defaults_are_compared_by_type_and_value() -> None:
    one = Column("a", pa.int64(), default=pa.scalar(1))
    assert one == Column("a", pa.int64(), default=pa.scalar(1))
    assert one != Column("a", pa.int64(), default=pa.scalar(2))
    assert one != Column("a", pa.int64(), default=pa.scalar(1, pa.int32()))
    assert one != Column("a", pa.int64())


def test_columns_are_found_by_name() -> None:
    assert SCHEMA.names == ("a", "id")
    assert SCHEMA.column("id") == Column("id", pa.int64(), nullable=False)
    with pytest.raises(KeyError):
        SCHEMA.column("ID")


def test_a_key_is_made_of_columns() -> None:
    assert SCHEMA.key_type() == pa.struct([pa.field("id", pa.int64())])
    with pytest.raises(ValueError, match="key columns"):
        StreamSchema([Column("a", pa.string())], key=["id"])


def test_other_columns_keep_the_key() -> None:
    columns = [Column("id", pa.int32())]
    assert SCHEMA.with_columns(columns) == StreamSchema(columns, key=["id"])


def test_a_change_table_has_the_data_columns_then_the_metadata() -> None:
    metadata = [
        pa.field("_cdc_op", pa.int8()),
        pa.field("_cdc_sequence", pa.decimal128(38, 0)),
        pa.field("_cdc_commit_at", pa.timestamp("us", "UTC")),
        pa.field("_cdc_unchanged", pa.list_(pa.string())),
    ]
    data = [pa.field("a", pa.string()), pa.field("id", pa.int64())]
    old_key = pa.field("_cdc_old_key", pa.struct([pa.field("id", pa.int64())]))
    assert change_schema(SCHEMA) == pa.schema([*data, *metadata, old_key])
    assert change_schema(StreamSchema(SCHEMA.columns)) == pa.schema([*data, *metadata])
