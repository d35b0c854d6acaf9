"""The columns of change tables, and what updates leave out of them."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pyarrow as pa

from pipeline.domain.change import OPERATION_LABELS, GroupBatch, Operation, change_schema
from pipeline.domain.position import Position
from pipeline.domain.schema import Column, StreamSchema
from pipeline.domain.unchanged import Unchanged
from tests.support.changes import batch, changes, insert, update

SCHEMA = StreamSchema((Column("id", pa.int64(), nullable=False), Column("name", pa.string())), ("id",))


def test_a_change_table_has_the_data_and_then_the_metadata() -> None:
    assert change_schema(SCHEMA) == pa.schema(
        [
            ("id", pa.int64()),
            ("name", pa.string()),
            ("_cdc_op", pa.int8()),
            ("_cdc_sequence", pa.decimal128(38, 0)),
            ("_cdc_commit_at", pa.timestamp("us", "UTC")),
            ("_cdc_unchanged", pa.list_(pa.string())),
            ("_cdc_old_key", pa.struct([("id", pa.int64())])),
        ]
    )
    assert change_schema(StreamSchema(SCHEMA.columns)).names == change_schema(SCHEMA).names[:-1]


def test_operations_are_stored_by_the_word_at_their_number() -> None:
    assert OPERATION_LABELS.to_pylist() == ["insert", "update", "delete", "truncate", "snapshot"]
    assert [operation.label for operation in Operation] == OPERATION_LABELS.to_pylist()


def test_what_updates_left_out_is_seen_column_by_column() -> None:
    rows = [insert(id=1), update(id=1, unchanged=["name"]), update(id=1, unchanged=["id", "name"])]
    found = Unchanged.of(pa.concat_tables([changes(SCHEMA, rows[:2]), changes(SCHEMA, rows[2:])]))
    np.testing.assert_array_equal(found.mask("name"), [False, True, True])
    np.testing.assert_array_equal(found.mask("id"), [False, False, True])
    np.testing.assert_array_equal(found.partial(), [False, True, True])
    assert found.mask("other") is None
    assert Unchanged.of(changes(SCHEMA, rows[:1])).mask("name") is None


def test_a_batch_without_changes_only_moves_the_position() -> None:
    after, up_to = Position({"lsn": 1}), Position({"lsn": 2})
    assert GroupBatch(after, up_to, schemas={}, pieces=()).is_empty
    piece = batch(SCHEMA, [insert(id=1)])
    assert not GroupBatch(after, up_to, schemas={"orders": (SCHEMA,)}, pieces=(piece,)).is_empty
    assert piece.row_count == 1
    assert piece.table["_cdc_commit_at"].to_pylist() == [datetime(1970, 1, 1, tzinfo=UTC)]
