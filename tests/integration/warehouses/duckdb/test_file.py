"""The database file: what is in it, who is fenced out, and what closing leaves (G3)."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

from adapters.warehouses.duckdb import build
from adapters.warehouses.duckdb.connection import Database
from adapters.warehouses.duckdb.warehouse import DuckDBWarehouse
from pipeline.domain.errors import ConfigError, Fenced, SchemaRefused, WarehouseError
from pipeline.domain.finding import Level
from pipeline.domain.loading import AddColumn, ChangeType, Migration, RenameColumn, Target
from pipeline.domain.planning import plan_steps
from pipeline.domain.schema import Column, StreamSchema
from pipeline.domain.stream import Mode
from pipeline.domain.tables import STAGING_METADATA
from tests.support.duckdb_file import BEGUN, SCHEMA, TARGET, changes, following, load, warehouse_at


def test_reading_before_setup_finds_nothing_and_makes_no_file(path: Path) -> None:
    warehouse = warehouse_at(path)
    found = (
        warehouse.checkpoint("shop"),
        warehouse.states("shop"),
        warehouse.intended("shop"),
        warehouse.audit("shop"),
    )
    assert (*found, warehouse.transformed("shop"), path.exists()) == (None, {}, False, [], -1, False)


def test_a_load_that_is_left_without_a_commit_leaves_nothing(warehouse: DuckDBWarehouse) -> None:
    with warehouse.load(BEGUN, following(BEGUN)) as opened:
        for step in plan_steps(TARGET, changes(1, "a")):
            opened.apply(step)
    with pytest.raises(WarehouseError, match="the load is over"):
        opened.commit({})
    assert (warehouse.checkpoint("shop"), warehouse.rows(TARGET).num_rows) == (BEGUN, 0)


def test_a_writer_with_an_old_checkpoint_is_fenced_out_and_lets_the_file_go(warehouse: DuckDBWarehouse) -> None:
    moved = load(warehouse, BEGUN, "a")
    with pytest.raises(Fenced):
        load(warehouse, BEGUN, "b")
    with pytest.raises(Fenced):
        warehouse.idle(BEGUN, following(BEGUN))
    load(warehouse, moved, "c")
    assert warehouse.current(TARGET).to_pylist() == [{"id": 0, "note": "c"}]


def test_of_two_loads_open_in_one_process_the_second_is_fenced_out(warehouse: DuckDBWarehouse, path: Path) -> None:
    with warehouse.load(BEGUN, following(BEGUN)) as first:
        with pytest.raises(Fenced):
            warehouse_at(path).load(BEGUN, following(BEGUN))
        first.commit({})
    assert warehouse.checkpoint("shop") == following(BEGUN)


def test_calls_go_on_while_a_load_is_open(warehouse: DuckDBWarehouse) -> None:
    with warehouse.load(BEGUN, following(BEGUN)) as opened:
        for step in plan_steps(TARGET, changes(1, "a")):
            opened.apply(step)
        assert (warehouse.checkpoint("shop"), warehouse.current(TARGET).num_rows) == (BEGUN, 0)
        opened.commit({})
    assert warehouse.current(TARGET).num_rows == 1


def test_an_error_tells_its_class_and_no_value(warehouse: DuckDBWarehouse) -> None:
    canary = "canary-4711"
    with pytest.raises(WarehouseError) as caught:
        warehouse.query(f"SELECT CAST('{canary}' AS INTEGER)")
    assert caught.value.facts == {"error_class": "ConversionException"}
    assert canary not in f"{caught.value} {caught.value!r} {caught.value.__cause__!r}"


def test_an_object_that_the_pipeline_did_not_make_is_refused(warehouse: DuckDBWarehouse, path: Path) -> None:
    warehouse.close()
    with duckdb.connect(str(path)) as other:
        other.execute("CREATE TABLE staging.shop__customers (id INTEGER)")
    mine = Target("products", "shop__products", Mode.MIRROR, SCHEMA)
    theirs = Target("customers", "shop__customers", Mode.MIRROR, SCHEMA)
    with pytest.raises(SchemaRefused) as caught:
        warehouse.migrate(BEGUN, [Migration(mine), Migration(theirs)])
    assert caught.value.where == "staging.shop__customers"
    tables = warehouse.query("SELECT table_name FROM duckdb_tables() WHERE table_name = 'shop__products'")
    assert tables.num_rows == 0


@pytest.mark.parametrize("mode", [Mode.MIRROR, Mode.APPEND])
def test_migrations_applied_twice_change_what_once_changes(path: Path, mode: Mode) -> None:
    warehouse = warehouse_at(path)
    warehouse.setup("shop")
    warehouse.begin(BEGUN)
    before = Target("orders", "shop__orders", mode, SCHEMA)
    warehouse.migrate(BEGUN, [Migration(before)])
    checkpoint = load(warehouse, BEGUN, "a", target=before)
    columns = [
        Column("number", pa.decimal128(20, 0)),
        Column("note", pa.string()),
        Column("size", pa.float64(), default=pa.scalar(2.5)),
    ]
    after = Target("orders", "shop__orders", mode, StreamSchema(columns, key=["number"]), 2)
    steps = (RenameColumn("id", columns[0]), ChangeType(columns[0]), AddColumn(columns[2]))
    for _ in range(2):
        checkpoint = warehouse.migrate(checkpoint, [Migration(after, SCHEMA, steps)])
    assert warehouse.current(after).to_pylist() == [{"number": 0, "note": "a", "size": 2.5}]
    assert warehouse.changelog(after).select(["number", "note", "size"]).to_pylist() == [
        {"number": 0, "note": "a", "size": 2.5}
    ]
    recorded = warehouse.query("SELECT schema_version, change FROM pipeline.migrations ORDER BY ALL").to_pylist()
    assert recorded == [
        {"schema_version": 1, "change": "create"},
        {"schema_version": 2, "change": "add column size DOUBLE"},
        {"schema_version": 2, "change": "change type of number to DECIMAL(20,0)"},
        {"schema_version": 2, "change": "rename column id to number"},
    ]


@pytest.mark.parametrize("mode", [Mode.MIRROR, Mode.APPEND])
def test_tables_left_by_an_interrupted_first_copy_follow_the_schema_of_the_next(path: Path, mode: Mode) -> None:
    warehouse = warehouse_at(path)
    warehouse.setup("shop")
    wider = StreamSchema([*SCHEMA.columns, Column("size", pa.float64())], key=["id"])
    for schema in (SCHEMA, wider):
        warehouse.migrate(BEGUN, [Migration(Target("orders", "shop__orders", mode, schema))])
    target = Target("orders", "shop__orders", mode, wider)
    names = [*wider.names, *STAGING_METADATA.names]
    assert (warehouse.rows(target).column_names, warehouse.changelog(target).num_rows) == (names, 0)


def test_a_stream_without_a_key_can_only_be_appended(warehouse: DuckDBWarehouse) -> None:
    keyless = StreamSchema([Column("line", pa.string())])
    with pytest.raises(SchemaRefused) as caught:
        warehouse.migrate(BEGUN, [Migration(Target("lines", "shop__lines", Mode.HISTORY, keyless))])
    assert caught.value.what == "the stream has no key, so its mode cannot be history"


def test_every_option_must_be_known(path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        build("main", {"path": str(path), "password": "secret"})
    assert str(caught.value) == (
        "warehouse main: unknown options password Options are path, wait_s, memory_limit, threads, temp_directory."
    )


def test_inspecting_changes_nothing_and_tells_of_an_interrupted_begin(path: Path) -> None:
    warehouse = warehouse_at(path)
    assert [finding.what for finding in warehouse.inspect()] == ["the file will be created"]
    assert not path.exists()
    warehouse.setup("shop")
    warehouse.intend("shop")
    findings = [(finding.level, finding.check) for finding in warehouse.inspect()]
    assert findings == [(Level.OK, "duckdb_file"), (Level.WARNING, "duckdb_interrupted")]
    warehouse.begin(BEGUN)
    assert [finding.level for finding in warehouse.inspect()] == [Level.OK]


class Refusing:
    """A connection that gives no cursor."""

    is_closed = False

    def cursor(self) -> duckdb.DuckDBPyConnection:
        raise duckdb.OutOfMemoryException("canary")

    def close(self) -> None:
        self.is_closed = True


def test_a_connection_that_gives_no_cursor_does_not_keep_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refusing = Refusing()
    database = Database(tmp_path / "warehouse.duckdb", settings={}, wait_s=1)
    with monkeypatch.context() as patched:
        patched.setattr(database, "_open", lambda *, read_only: refusing)
        with pytest.raises(WarehouseError, match="OutOfMemory") as refused, database.hold():
            pass
    assert "canary" not in str(refused.value)
    assert refusing.is_closed
    with database.hold() as connection:
        assert connection.execute("SELECT 1").fetchall() == [(1,)]


def test_a_folder_that_cannot_be_made_is_rejected_input(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    warehouse = build("w", {"path": str(tmp_path / "file" / "folder" / "warehouse.duckdb")})
    with pytest.raises(ConfigError, match="cannot be made") as rejected:
        warehouse.setup("shop")
    assert rejected.value.exit_code == 2


def test_small_loads_stay_in_the_log_and_closing_leaves_one_complete_file(tmp_path: Path) -> None:
    path = tmp_path / "warehouse.duckdb"
    warehouse = build("w", {"path": str(path)})
    warehouse.setup("shop")
    assert path.with_name("warehouse.duckdb.wal").exists()
    warehouse.close()
    assert not path.with_name("warehouse.duckdb.wal").exists()
    assert build("w", {"path": str(path)}).checkpoint("shop") is None
