"""How DuckDB stores what a copy loads: whole row groups, and no column that follows from others."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pytest

from adapters.warehouses.duckdb import build
from adapters.warehouses.duckdb.rowgroups import ROW_GROUP
from pipeline.domain.change import COMMIT_AT_TYPE, UNCHANGED_TYPE, Operation, change_schema
from pipeline.domain.checkpoint import Checkpoint
from pipeline.domain.loading import Migration, Target
from pipeline.domain.planning import plan_copy
from pipeline.domain.position import PHASE_SNAPSHOT, Position, pack_sequences
from pipeline.domain.schema import Column, StreamSchema
from pipeline.domain.stream import Mode

AT = datetime(2026, 1, 1, tzinfo=UTC)
SCHEMA = StreamSchema([Column("id", pa.int64()), Column("note", pa.string())], key=("id",))
ROWS = 2 * ROW_GROUP + 50_000


def rows(first: int, count: int) -> pa.Table:
    numbers = np.arange(first, first + count)
    arrays = [
        pa.array(numbers),
        pa.array(numbers).cast(pa.string()),
        pa.repeat(pa.scalar(int(Operation.SNAPSHOT), pa.int8()), count),
        pack_sequences(0, 7, PHASE_SNAPSHOT, numbers.astype(np.uint64)),
        pa.repeat(pa.scalar(AT, COMMIT_AT_TYPE), count),
        pa.nulls(count, UNCHANGED_TYPE),
        pa.nulls(count, SCHEMA.key_type()),
    ]
    return pa.Table.from_arrays(arrays, schema=change_schema(SCHEMA))


def copied(path: Path, mode: Mode) -> None:
    warehouse = build("warehouse", {"path": str(path), "threads": 2})
    begun = Checkpoint("shop", Position({"lsn": 7}), load=0, epoch=0, at=AT)
    target = Target("people", "shop__people", mode, SCHEMA)
    warehouse.setup("shop")
    warehouse.begin(begun)
    warehouse.migrate(begun, [Migration(target)])
    with warehouse.load(begun, begun.next(begun.position, at=AT)) as load:
        load.replace(target)
        for first in range(0, ROWS, 37_000):
            load.apply(plan_copy(target, rows(first, min(37_000, ROWS - first))))
        load.finish_replace(target)
        load.commit({})
    warehouse.close()


@pytest.mark.parametrize("table", ["changelog.shop__people", "staging.shop__people"])
def test_a_copy_leaves_no_part_of_a_row_group_but_the_last(tmp_path: Path, table: str) -> None:
    copied(tmp_path / "warehouse.duckdb", Mode.MIRROR)

    with duckdb.connect(str(tmp_path / "warehouse.duckdb"), read_only=True) as connection:
        query = f"""SELECT sum(count) FROM pragma_storage_info('{table}')
            WHERE column_name = 'id' AND segment_type = 'BIGINT' GROUP BY row_group_id ORDER BY ALL DESC"""
        assert connection.execute(query).fetchall() == [(ROW_GROUP,), (ROW_GROUP,), (50_000,)]


def test_a_mirror_shows_what_follows_from_other_columns_without_storing_it(tmp_path: Path) -> None:
    copied(tmp_path / "warehouse.duckdb", Mode.MIRROR)

    with duckdb.connect(str(tmp_path / "warehouse.duckdb"), read_only=True) as connection:
        shown = connection.execute("""SELECT "_cdc_deleted", "_cdc_valid_from" = "_cdc_sequence", "_cdc_valid_to",
            "_cdc_valid_from_at" = "_cdc_commit_at", "_cdc_valid_to_at", "_cdc_current", count(*)
            FROM staging.shop__people GROUP BY ALL""").fetchall()
        stored = connection.execute(
            "SELECT DISTINCT column_name FROM pragma_storage_info('staging.shop__people') ORDER BY ALL"
        ).fetchall()

    assert shown == [(False, True, None, True, None, True, ROWS)]
    names = ["_cdc_commit_at", "_cdc_load", "_cdc_loaded_at", "_cdc_op", "_cdc_sequence", "id", "note"]
    assert [name for (name,) in stored] == names
