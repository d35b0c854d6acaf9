"""The pump: from the checkpoint on, exactly up to where it is told, through lost connections and lost answers."""

import random
import threading

import attrs
import pytest

from pipeline.application.beginning import ready
from pipeline.application.loader import GroupLoader
from pipeline.application.pump import pump
from pipeline.application.sync import sync
from pipeline.domain.change import GroupBatch, Operation
from pipeline.domain.checkpoint import Checkpoint
from pipeline.domain.errors import CommitUnknown, Fenced, SourceError, SourceUnreachable
from pipeline.domain.events import BatchApplied, IdleCheckpoint, Retrying
from pipeline.domain.stream import Mode
from pipeline.ports.warehouse import target_of
from tests.support.faults import Died, Fault, FaultyWarehouse
from tests.support.memory_source import MemoryReader, at
from tests.support.rig import PatientStop, Rig

INSERT, UPDATE, DELETE = Operation.INSERT, Operation.UPDATE, Operation.DELETE


@pytest.fixture
def rig() -> Rig:
    rig = Rig()
    rig.database.commit(("orders", INSERT, {"id": 1, "status": "new"}))
    ready(rig.session())
    return rig


def order(key: int, status: str = "new") -> dict[str, object]:
    return {"id": key, "status": status}


def test_loads_up_to_a_position_and_not_a_transaction_further(rig: Rig) -> None:
    rig.database.commit(("orders", INSERT, order(2)))
    rig.database.commit(("orders", INSERT, order(3)))
    pumped = pump(rig.session(), up_to=at(2))
    assert rig.current() == [order(1), order(2)]
    assert pumped.checkpoint.position == at(2)


def test_a_position_already_covered_needs_no_reader(rig: Rig) -> None:
    rig.database.faults.append(SourceError("must not be read"))
    assert pump(rig.session(), up_to=at(1)).batch_count == 0


def test_acknowledges_nothing_before_it_is_durable(rig: Rig) -> None:
    rig.database.commit(("orders", INSERT, order(2)))
    faulty = FaultyWarehouse(rig.warehouse, Fault.DIES_BEFORE_COMMIT)
    with pytest.raises(Died):
        pump(rig.session(warehouse=faulty), up_to=at(2))
    assert max(rig.database.confirmed) == 1
    pump(rig.session(), up_to=at(2))
    assert max(rig.database.confirmed) == 2
    assert rig.current() == rig.table()


@pytest.mark.parametrize("fault", [Fault.ANSWER_LOST, Fault.COMMIT_LOST])
def test_a_commit_whose_answer_was_lost_is_settled_by_the_checkpoint(rig: Rig, fault: Fault) -> None:
    rig.database.commit(("orders", UPDATE, order(1, "paid")), ("orders", INSERT, order(2)))
    pump(rig.session(warehouse=FaultyWarehouse(rig.warehouse, fault)), up_to=at(2))
    assert rig.current() == rig.table()
    changelog = rig.warehouse.audit("shop")
    assert rig.recorder.of(Retrying)[0].error == CommitUnknown.__name__
    assert len(changelog) == 2  # the copy, and one load of the batch


def test_tries_again_with_growing_delays_and_gives_up_after_its_attempts(rig: Rig) -> None:
    rig.database.faults.extend(SourceUnreachable("gone", where="source") for _ in range(4))
    with pytest.raises(SourceUnreachable):
        pump(rig.session(), up_to=rig.session().source.mark(), attempts=4)
    assert rig.stop.waits == [1.0, 2.0, 4.0]
    assert rig.database.open_readers == 0


def test_what_trying_again_cannot_mend_is_raised_at_once(rig: Rig) -> None:
    rig.database.faults.append(SourceError("broken", where="source"))
    with pytest.raises(SourceError):
        pump(rig.session(), up_to=rig.session().source.mark())
    assert rig.recorder.of(Retrying) == []


def test_a_fenced_writer_stops(rig: Rig) -> None:
    session = rig.session()
    stale = rig.warehouse.checkpoint("shop")
    rig.database.commit(("orders", INSERT, order(2)))
    sync(rig.session())
    with pytest.raises(Fenced):
        rig.warehouse.idle(stale, stale.next(at(9), at=session.clock.now()))


def test_an_idle_position_becomes_a_checkpoint_only_now_and_then(rig: Rig) -> None:
    rig.limits = attrs.evolve(rig.limits, idle_checkpoint_s=1e9, idle_checkpoint_bytes=250)
    for _ in range(10):
        rig.database.commit()
    rig.database.commit(("orders", INSERT, order(2)))
    pump(rig.session(), up_to=at(12))
    # A hundred bytes a transaction: after the third, the sixth and the ninth; then the load.
    assert len(rig.recorder.of(IdleCheckpoint)) == 3
    assert [event.transaction_count for event in rig.recorder.of(BatchApplied)] == [1]


def test_when_nothing_changed_no_load_is_made_and_the_log_is_released(rig: Rig) -> None:
    for _ in range(5):
        rig.database.commit()
    pumped = pump(rig.session(), up_to=at(6))
    assert rig.recorder.of(BatchApplied) == []
    assert (pumped.checkpoint.position, rig.database.slot) == (at(6), 6)


def test_behind_the_last_position_the_source_is_not_asked_again(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    rig.database.commit(("orders", INSERT, order(2)))
    is_asked_again = threading.Event()

    def ask(self: MemoryReader, timeout_s: float) -> object:
        if self._next >= 2:
            is_asked_again.set()
        return read(self, timeout_s)

    read = MemoryReader.next
    monkeypatch.setattr(MemoryReader, "next", ask)
    seen: list[bool] = []
    pump(rig.session(), up_to=at(2), on_loaded=lambda _: seen.append(is_asked_again.wait(0.2)))
    assert seen == [False]


def test_a_stop_ends_between_batches_and_the_next_pump_goes_on(rig: Rig) -> None:
    for key in range(2, 8):
        rig.database.commit(("orders", INSERT, order(key)))
    session = rig.session()
    pump(session, on_loaded=lambda _: session.stop.set())
    assert rig.current() == [order(1), order(2)]
    rig.stop = PatientStop()
    pump(rig.session(), up_to=at(7))
    assert rig.current() == rig.table()
    sequences = [row["load"] for row in rig.warehouse.audit("shop")]
    assert len(sequences) == len(set(sequences))


@pytest.mark.parametrize("mode", list(Mode))
def test_the_last_batches_replayed_in_any_order_change_nothing(rig: Rig, mode: Mode) -> None:
    rig.stream(mode=mode)
    pump(rig.session(), up_to=rig.session().source.mark())
    sync(rig.session())
    rig.database.commit(("orders", INSERT, order(2)), ("orders", UPDATE, order(1, "paid")))
    rig.database.commit(("orders", DELETE, order(1)))
    rig.database.commit(("orders", INSERT, order(1, "again")), ("orders", DELETE, order(2)))
    batches = read(rig)
    sync(rig.session())
    before = everything(rig)
    chance = random.Random(mode.value)
    for _ in range(3):
        loader = GroupLoader(rig.session(), checkpoint_of(rig), rig.warehouse.states("shop"))
        for batch in chance.sample(batches, len(batches)):
            counts = loader.load(batch).counts["orders"]
            assert counts.covered_count == counts.read_count == batch.row_count
    assert everything(rig) == before


def read(rig: Rig) -> list[GroupBatch]:
    """The batches from the checkpoint on that hold changes."""
    session = rig.session()
    streams = {"orders": (rig.streams["orders"], rig.warehouse.states("shop")["orders"].since)}
    with session.source.read(checkpoint_of(rig), streams, limits=rig.limits) as reader:
        batches = [batch for _ in rig.database.log if (batch := reader.next(0.0)) is not None]
    return [batch for batch in batches if not batch.is_empty]


def checkpoint_of(rig: Rig) -> Checkpoint:
    checkpoint = rig.warehouse.checkpoint("shop")
    assert checkpoint is not None
    return checkpoint


def everything(rig: Rig) -> list[object]:
    """Checkpoint, staging table and changelog, whole."""
    target = target_of(rig.warehouse.states("shop")["orders"])
    rows, changes = rig.warehouse.rows(target), rig.warehouse.changelog(target)
    return [rig.warehouse.checkpoint("shop"), rows.to_pylist(), changes.to_pylist()]
