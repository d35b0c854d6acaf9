"""Beginning: log kept, checkpoint written, streams copied, whatever an earlier process left."""

from typing import Any

import pytest

from pipeline.application.beginning import begin_again, ready
from pipeline.application.sync import sync
from pipeline.domain.change import Operation
from pipeline.domain.checkpoint import Checkpoint
from pipeline.domain.errors import ConfigError, Fenced, LogLost, SourceRejected
from pipeline.domain.events import CopyFinished
from pipeline.domain.schema import Column, StreamSchema
from pipeline.domain.stream import Mode
from pipeline.ports.warehouse import Warehouse
from tests.support.faults import Died, Fault, FaultyWarehouse
from tests.support.memory_source import ORDERS, at
from tests.support.rig import Rig

INSERT, UPDATE = Operation.INSERT, Operation.UPDATE


@pytest.fixture
def rig() -> Rig:
    rig = Rig()
    rig.database.commit(("orders", INSERT, {"id": 1, "status": "new"}), ("orders", INSERT, {"id": 2, "status": "new"}))
    return rig


def test_the_first_run_copies_every_stream_and_starts_at_the_consistent_point(rig: Rig) -> None:
    checkpoint = ready(rig.session())
    assert (checkpoint.position, checkpoint.epoch) == (at(1), 0)
    assert rig.current() == rig.table()


def test_an_empty_table_gets_its_staging_table_and_checkpoint() -> None:
    rig = Rig()
    ready(rig.session())
    assert rig.current() == []
    assert rig.warehouse.checkpoint("shop") is not None


def test_a_second_start_copies_nothing(rig: Rig) -> None:
    ready(rig.session())
    ready(rig.session())
    assert rig.database.snapshot_count == 1


def test_a_begin_that_died_before_its_checkpoint_is_begun_anew(rig: Rig) -> None:
    class DiesAtBegin(FaultyWarehouse):
        def begin(self, checkpoint: object) -> None:
            raise Died

    with pytest.raises(Died):
        ready(rig.session(warehouse=DiesAtBegin(rig.warehouse, Fault.COMMIT_LOST, count=0)))
    assert rig.database.slot is not None
    ready(rig.session())
    assert rig.current() == rig.table()


def test_a_slot_that_this_warehouse_knows_nothing_of_is_left_alone(rig: Rig) -> None:
    rig.database.slot = 0
    with pytest.raises(SourceRejected, match="already keeps a log"):
        ready(rig.session())
    assert rig.database.slot == 0
    with pytest.raises(SourceRejected):
        ready(rig.session())
    assert rig.database.slot == 0


def test_a_copy_that_died_is_made_again_and_the_finished_ones_are_kept(rig: Rig) -> None:
    rig.database.schemas["items"] = ORDERS
    rig.database.tables["items"] = {}
    rig.database.commit(("items", INSERT, {"id": 7, "status": "new"}))
    rig.stream("items")

    class DiesInSecondCopy(FaultyWarehouse):
        def load(self, previous, checkpoint):
            self.remaining = 1 if checkpoint.load == 2 else 0
            return super().load(previous, checkpoint)

    with pytest.raises(Died):
        ready(rig.session(warehouse=DiesInSecondCopy(rig.warehouse, Fault.DIES_BEFORE_COMMIT, count=0)))
    rig.database.commit(("orders", UPDATE, {"id": 1, "status": "paid"}))
    sync(rig.session())
    assert (rig.current(), rig.current("items")) == (rig.table(), rig.table("items"))
    assert [event.stream for event in rig.recorder.of(CopyFinished)] == ["orders", "items"]


def test_a_stream_added_later_is_copied_while_the_others_go_on(rig: Rig) -> None:
    sync(rig.session())
    rig.database.schemas["items"] = ORDERS
    rig.database.tables["items"] = {}
    rig.database.commit(("items", INSERT, {"id": 7, "status": "new"}), ("orders", UPDATE, {"id": 1, "status": "paid"}))
    rig.stream("items")
    sync(rig.session())
    rig.database.commit(("items", UPDATE, {"id": 7, "status": "paid"}))
    sync(rig.session())
    assert (rig.current(), rig.current("items")) == (rig.table(), rig.table("items"))
    assert [event.stream for event in rig.recorder.of(CopyFinished)] == ["orders", "items"]


def test_a_stream_taken_out_and_put_back_is_copied_again(rig: Rig) -> None:
    rig.database.schemas["items"] = ORDERS
    rig.database.tables["items"] = {}
    rig.stream("items")
    sync(rig.session())
    items = rig.streams.pop("items")
    rig.database.commit(("items", INSERT, {"id": 7, "status": "new"}))
    sync(rig.session())
    rig.streams["items"] = items
    sync(rig.session())
    assert rig.current("items") == rig.table("items")


def test_a_resync_copies_only_the_stream_it_names(rig: Rig) -> None:
    rig.database.schemas["items"] = ORDERS
    rig.database.tables["items"] = {}
    rig.stream("items")
    sync(rig.session())
    rig.recorder.events.clear()
    sync(rig.session(), resync=["orders"])
    assert [event.stream for event in rig.recorder.of(CopyFinished)] == ["orders"]
    assert rig.current() == rig.table()


def test_an_unknown_stream_is_refused_before_anything_happens(rig: Rig) -> None:
    with pytest.raises(ConfigError, match="no stream called order"):
        ready(rig.session(), resync=["order"])
    assert rig.warehouse.checkpoint("shop") is None


def test_a_lost_log_stops_everything_until_all_is_copied_again(rig: Rig) -> None:
    sync(rig.session())
    rig.database.slot = None
    rig.database.commit(("orders", UPDATE, {"id": 1, "status": "lost"}))
    with pytest.raises(LogLost):
        sync(rig.session())
    begin_again(rig.session())
    sync(rig.session())
    assert rig.current() == rig.table()
    checkpoint = rig.warehouse.checkpoint("shop")
    assert checkpoint is not None
    assert checkpoint.epoch == 1


class DyingInReset:
    """A warehouse whose process dies right after the checkpoint was replaced."""

    def __init__(self, warehouse: Warehouse) -> None:
        self._warehouse = warehouse

    def __getattr__(self, name: str) -> Any:
        return getattr(self._warehouse, name)

    def reset(self, previous: Checkpoint, checkpoint: Checkpoint) -> None:
        self._warehouse.reset(previous, checkpoint)
        raise Died


def test_a_new_beginning_that_dies_before_its_copies_leaves_no_gap(rig: Rig) -> None:
    sync(rig.session())
    rig.database.slot = None
    rig.database.commit(("orders", UPDATE, {"id": 1, "status": "lost"}))
    with pytest.raises(Died):
        begin_again(rig.session(warehouse=DyingInReset(rig.warehouse)))
    sync(rig.session())
    assert rig.current() == rig.table()


def test_a_changed_mode_is_built_from_the_changelog(rig: Rig) -> None:
    sync(rig.session())
    rig.stream(mode=Mode.SOFT_DELETE)
    sync(rig.session())
    assert rig.warehouse.states("shop")["orders"].mode is Mode.SOFT_DELETE
    assert rig.database.snapshot_count == 1
    assert rig.current() == rig.table()


def test_a_copy_into_tables_of_an_older_schema_alters_them_first(rig: Rig) -> None:
    sync(rig.session())
    wider = StreamSchema((*ORDERS.columns, Column("note", ORDERS.column("status").type)), key=("id",))
    rig.database.schemas["orders"] = wider
    rig.database.tables["orders"] = {1: {"id": 1, "status": "new", "note": "x"}}
    sync(rig.session(), resync=["orders"])
    assert rig.current() == [{"id": 1, "status": "new", "note": "x"}]


def test_a_log_that_another_run_moved_on_is_not_called_lost(rig: Rig) -> None:
    sync(rig.session())
    rig.database.commit(("orders", UPDATE, {"id": 1, "status": "paid"}))

    class OvertakenAfterReading(FaultyWarehouse):
        def checkpoint(self, group: str) -> object:
            known = rig.warehouse.checkpoint(group)
            if self.remaining:
                self.remaining -= 1
                sync(rig.session())
            return known

    with pytest.raises(Fenced):
        ready(rig.session(warehouse=OvertakenAfterReading(rig.warehouse, Fault.COMMIT_LOST)))
    assert rig.current() == rig.table()
