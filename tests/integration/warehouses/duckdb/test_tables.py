"""What DuckDB keeps of odd names and values, of quarantined rows, and of copies in every mode."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pytest

from adapters.warehouses.duckdb import build
from adapters.warehouses.duckdb.warehouse import DuckDBWarehouse
from adapters.warehouses.schemarecord import decode_schema, encode_schema
from pipeline.domain.change import change_schema
from pipeline.domain.checkpoint import Checkpoint, Phase, StreamState
from pipeline.domain.counts import StreamCounts
from pipeline.domain.loading import Migration, Target
from pipeline.domain.planning import plan_steps
from pipeline.domain.position import Position, Sequence
from pipeline.domain.quarantine import QUARANTINE_SCHEMA, SETTLED_SCHEMA, Waiting
from pipeline.domain.schema import Column, StreamSchema
from pipeline.domain.stream import Mode

AT = datetime(2026, 1, 1, tzinfo=UTC)
SCHEMA = StreamSchema([Column("id", pa.int64()), Column("note", pa.string())], key=["id"])
#: Names that SQL, DuckDB or the statements use themselves, and documents that a JSON parser would refuse.
ODD_NAMES = ("rowid", "group", "select", 'a "quoted", name', "at", "_at", "before", "kind", "t", "🔑", "Mixed Case")
ODD_JSON = (
    '{"zero": "\\u0000"}',
    '{"half": "\\ud800"}',
    '{"n": 123456789012345678901234567890.10}',
    "null",
    '{"a":1,"a":2}',
)

BEGUN = Checkpoint("shop", Position({"lsn": 0}), load=0, epoch=0, at=AT)


@pytest.fixture
def warehouse(tmp_path: Path) -> DuckDBWarehouse:
    warehouse = build("warehouse", {"path": str(tmp_path / "shop.duckdb")})
    warehouse.setup("shop")
    warehouse.begin(BEGUN)
    return warehouse


def target(mode: Mode, schema: StreamSchema = SCHEMA) -> Target:
    return Target("orders", "shop__orders", mode, schema)


def change_rows(schema: StreamSchema, commit: int, rows: list[dict[str, object]], *, phase: int = 1) -> pa.Table:
    told = [
        {"_cdc_op": 0, **row, "_cdc_sequence": Sequence(0, commit, phase, number).pack(), "_cdc_commit_at": AT}
        for number, row in enumerate(rows)
    ]
    return pa.Table.from_pylist(told, schema=change_schema(schema))


def load(warehouse: DuckDBWarehouse, target: Target, rows: list[dict[str, object]], *, is_copy: bool = False) -> None:
    before = warehouse.checkpoint("shop")
    assert before is not None
    after = before.next(Position({"lsn": before.load + 1}), at=AT)
    with warehouse.load(before, after) as opened:
        if is_copy:
            opened.replace(target)
        for step in plan_steps(target, change_rows(target.schema, after.load, rows, phase=0 if is_copy else 1)):
            opened.apply(step)
        if is_copy:
            opened.finish_replace(target)
        opened.commit({target.stream: StreamCounts(read_count=len(rows), changelog_count=len(rows))})


def rebuild(warehouse: DuckDBWarehouse, target: Target) -> None:
    before = warehouse.checkpoint("shop")
    assert before is not None
    warehouse.rebuild(before, target)


@pytest.mark.parametrize("mode", Mode)
def test_odd_names_are_kept_in_every_mode(warehouse: DuckDBWarehouse, mode: Mode) -> None:
    columns = [Column("id", pa.int64()), *(Column(name, pa.string()) for name in ODD_NAMES)]
    odd = target(mode, StreamSchema(columns, key=["id", "rowid"]))
    warehouse.migrate(BEGUN, [Migration(odd)])
    first = {"id": 1, **{name: f"{name} 1" for name in ODD_NAMES}}
    second = {"id": 2, **{name: f"{name} 2" for name in ODD_NAMES}}
    load(warehouse, odd, [first, second])
    changed = {**first, "_at": "changed"}
    load(warehouse, odd, [{**changed, "_cdc_op": 1}])
    expected = [changed, second] if mode is not Mode.APPEND else [first, second, changed]
    assert sorted(warehouse.current(odd).to_pylist(), key=repr) == sorted(expected, key=repr)
    if mode is not Mode.APPEND:
        assert warehouse.compare(odd, [pa.Table.from_pylist(expected, schema=odd.schema.arrow())]).is_equal
    rebuild(warehouse, target(Mode.HISTORY, odd.schema))
    rebuilt = warehouse.rows(target(Mode.HISTORY, odd.schema)).select(odd.schema.names).to_pylist()
    assert sorted(rebuilt, key=repr) == sorted([first, second, changed], key=repr)


def test_json_documents_are_kept_as_they_are(warehouse: DuckDBWarehouse) -> None:
    schema = StreamSchema([Column("id", pa.int64()), Column("document", pa.string(), json=True)], key=["id"])
    kept = target(Mode.MIRROR, schema)
    warehouse.migrate(BEGUN, [Migration(kept)])
    rows: list[dict[str, object]] = [{"id": number, "document": text} for number, text in enumerate(ODD_JSON)]
    load(warehouse, kept, [*rows, {"id": 99, "document": None}])
    assert warehouse.current(kept).to_pylist() == [*rows, {"id": 99, "document": None}]
    assert warehouse.changelog(kept)["document"].to_pylist() == [*ODD_JSON, None]
    types = warehouse.query("SELECT data_type FROM duckdb_columns() WHERE column_name = 'document'")
    assert types["data_type"].to_pylist() == ["JSON", "JSON"]


def test_quarantined_rows_wait_until_the_first_line_that_settles_them(warehouse: DuckDBWarehouse) -> None:
    mirror = target(Mode.MIRROR)
    warehouse.migrate(BEGUN, [Migration(mirror)])
    rows = [
        {"sequence": 1, "key": '{"id":1}', "row": '{"id":1}'},
        {"sequence": 2, "key": '{"id":2}', "row": '{"id":2,"_cdc_old_key":{"id":3}}'},
        {"sequence": 9, "key": '{"id":1}', "row": '{"id":1}'},
    ]
    told = [{"op": "insert", "commit_at": AT, "reasons": ["rule"], "contract_version": "1", **row} for row in rows]
    settled = [
        {"key": '{"id":1}', "before": 5, "status": "superseded"},
        {"key": '{"id":1}', "before": 6, "status": "closed"},
    ]
    before = warehouse.checkpoint("shop")
    assert before is not None
    after = before.next(Position({"lsn": 1}), at=AT)
    with warehouse.load(before, after) as opened:
        opened.quarantine(mirror, pa.Table.from_pylist(told, schema=QUARANTINE_SCHEMA))
        opened.settle(mirror, pa.Table.from_pylist(settled, schema=SETTLED_SCHEMA))
        opened.commit({})
    assert warehouse.waiting(mirror) == Waiting(
        keys=frozenset({'{"id":1}', '{"id":2}', '{"id":3}'}), moved=frozenset({'{"id":2}', '{"id":3}'})
    )
    waiting = {"status": "waiting", "settled_load": None, "settled_at": None}
    done = {"status": "superseded", "settled_load": 1, "settled_at": AT}
    assert sorted(warehouse.quarantined(mirror).to_pylist(), key=lambda row: row["sequence"]) == [
        {**row, "sequence": Decimal(row["sequence"]), "load": 1, "quarantined_at": AT, **status}
        for row, status in zip(told, (done, waiting, waiting), strict=True)
    ]
    wanted = pa.Table.from_pylist([{"id": 1, "note": "x"}, {"id": 4, "note": "y"}], schema=SCHEMA.arrow())
    comparison = warehouse.compare(mirror, [wanted])
    assert (comparison.compared_count, comparison.missing_count, comparison.keys) == (1, 1, ('{"id":4}',))


@pytest.mark.parametrize(
    ("mode", "live", "all_count"),
    [
        (Mode.MIRROR, [2, 3], 2),
        (Mode.SOFT_DELETE, [2, 3], 2),
        (Mode.HISTORY, [2, 3], 3),
        (Mode.APPEND, [1, 2, 2, 3], 4),
    ],
)
def test_a_copy_takes_the_place_of_what_was_there_also_in_a_rebuild(
    warehouse: DuckDBWarehouse, mode: Mode, live: list[int], all_count: int
) -> None:
    copied = target(mode)
    warehouse.migrate(BEGUN, [Migration(copied)])
    load(warehouse, copied, [{"id": 1, "note": "a"}, {"id": 2, "note": "b"}])
    load(warehouse, copied, [{"id": 2, "note": "b", "_cdc_op": 4}, {"id": 3, "note": "c", "_cdc_op": 4}], is_copy=True)
    for _ in range(2):
        assert sorted(warehouse.current(copied)["id"].to_pylist()) == live
        assert warehouse.rows(copied).num_rows == all_count
        rebuild(warehouse, copied)


@pytest.mark.parametrize("mode", [Mode.MIRROR, Mode.SOFT_DELETE, Mode.HISTORY])
def test_a_copy_of_an_empty_table_is_remembered(warehouse: DuckDBWarehouse, mode: Mode) -> None:
    copied = target(mode)
    warehouse.migrate(BEGUN, [Migration(copied)])
    load(warehouse, copied, [{"id": 1, "note": "a"}])
    load(warehouse, copied, [], is_copy=True)
    before = warehouse.rows(copied).to_pylist()
    rebuild(warehouse, copied)
    assert (warehouse.current(copied).num_rows, warehouse.rows(copied).to_pylist()) == (0, before)


def test_a_rebuild_is_recorded_and_the_audit_tells_what_changed(warehouse: DuckDBWarehouse) -> None:
    mirror = target(Mode.MIRROR)
    warehouse.migrate(BEGUN, [Migration(mirror)])
    before = warehouse.checkpoint("shop")
    assert before is not None
    state = StreamState("orders", "shop__orders", Mode.MIRROR, Phase.STREAMING, before.position, SCHEMA)
    after = before.next(Position({"lsn": 1}), at=AT)
    counts = StreamCounts(read_count=3, changelog_count=2, quarantined_count=1, applied_count=1, compacted_count=1)
    with warehouse.load(before, after) as opened:
        opened.set_state(state)
        opened.commit({"orders": counts, "customers": StreamCounts(read_count=1, covered_count=1)})
    rebuild(warehouse, target(Mode.SOFT_DELETE))
    assert {name: found.mode for name, found in warehouse.states("shop").items()} == {"orders": Mode.SOFT_DELETE}
    (audit,) = warehouse.audit("shop")
    assert {**audit, "seconds": None} == {
        "load": 1,
        "position": '{"lsn":1}',
        "at": AT,
        "seconds": None,
        "counts": {"orders": counts, "customers": StreamCounts(read_count=1, covered_count=1)},
    }
    assert (warehouse.changed_since("shop", -1), warehouse.changed_since("shop", 1)) == ({"orders"}, set())


def test_a_schema_is_restored_exactly() -> None:
    schema = StreamSchema(
        [
            Column("id", pa.decimal128(38, 9), nullable=False, source_name="ID", source_type="numeric", source_id=3),
            Column("note", pa.string(), json=True, default=pa.scalar(json.dumps({"a": [1]}))),
            Column("day", pa.date32(), default=pa.scalar(-700_000, pa.int32()).cast(pa.date32()), dropped=True),
            Column("tags", pa.list_(pa.string()), default=pa.scalar(None, pa.list_(pa.string()))),
        ],
        key=["id"],
    )
    assert decode_schema(encode_schema(schema)) == schema
