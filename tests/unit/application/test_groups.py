"""Several groups of one pipeline: each goes its own way, the marts are built once, and what fails is told."""

from __future__ import annotations

import threading
from typing import Any

import attrs
import pytest

from pipeline.application.groups import (
    chosen,
    doctor_groups,
    plan_groups,
    resync_groups,
    status_groups,
    stream_groups,
    sync_groups,
    verify_groups,
)
from pipeline.application.session import Session
from pipeline.application.sync import sync
from pipeline.application.transform import pending_transform, transform, transform_changed
from pipeline.domain.change import Operation
from pipeline.domain.errors import ConfigError, LogLost, SourceRejected, SourceUnreachable
from pipeline.domain.stream import StreamSpec, SystemSpec
from pipeline.ports.warehouse import target_of
from tests.support.memory_source import ORDERS, Database, MemorySource
from tests.support.rig import PatientStop, RecordingTransformer, Rig


@attrs.define
class Fleet:
    """Two groups over two databases, ``shop`` with the stream orders and ``fx`` with the stream rates."""

    rig: Rig = attrs.field(factory=lambda: Rig(transformer=RecordingTransformer()))
    other: Database = attrs.field(factory=lambda: Database(schemas={"rates": ORDERS}, tables={"rates": {}}))

    def sessions(self) -> tuple[Session, ...]:
        """A session for each, as a new process would have them."""
        first = self.rig.session()
        rates = StreamSpec(name="rates", relation="rates", source="fx")
        spec = attrs.evolve(
            first.pipeline, source=SystemSpec("memory", "fx"), streams={"rates": rates}, group="fx__rates"
        )
        return first, attrs.evolve(first, pipeline=spec, source=MemorySource(self.other, "fx"))

    def commit(self, number: int) -> None:
        """A row more in both."""
        row = {"id": number, "status": "new"}
        self.rig.database.commit(("orders", Operation.INSERT, row))
        self.other.commit(("rates", Operation.INSERT, row))

    def counts(self) -> dict[str, int]:
        """How many rows the staging tables show."""
        states = [state for group in ("shop", "fx__rates") for state in self.rig.warehouse.states(group).values()]
        return {state.stream: self.rig.warehouse.current(target_of(state)).num_rows for state in states}


def test_every_group_is_loaded_and_marts_are_built_once() -> None:
    fleet = Fleet()
    fleet.commit(1)
    result = sync_groups(fleet.sessions())
    assert fleet.counts() == {"orders": 1, "rates": 1}
    assert (result.checkpoint, sorted(result.checkpoints)) == (None, ["fx__rates", "shop"])
    transformer = fleet.rig.transformer
    assert transformer is not None
    assert transformer.builds == [None]

    fleet.other.commit(("rates", Operation.INSERT, {"id": 2, "status": "new"}))
    assert list(sync_groups(fleet.sessions()).counts) == ["rates"]
    assert transformer.builds == [None, ["fx__rates"]]
    sync_groups(fleet.sessions())
    assert transformer.builds == [None, ["fx__rates"]]
    assert pending_transform(fleet.sessions()) is None


def test_groups_are_moved_side_by_side(monkeypatch: pytest.MonkeyPatch) -> None:
    fleet = Fleet()
    fleet.commit(1)
    together = threading.Barrier(2, timeout=10)
    mark = MemorySource.mark

    def met(source: MemorySource) -> object:
        together.wait()
        return mark(source)

    monkeypatch.setattr(MemorySource, "mark", met)
    sync_groups(fleet.sessions())
    assert fleet.counts() == {"orders": 1, "rates": 1}


def test_a_group_that_fails_stops_no_other_and_is_told_in_the_end() -> None:
    fleet = Fleet()
    sync_groups(fleet.sessions())
    fleet.commit(1)
    fleet.rig.database.faults = [SourceRejected("it says no", where="source shop")]
    with pytest.raises(SourceRejected, match="it says no"):
        sync_groups(fleet.sessions())
    assert fleet.counts() == {"orders": 0, "rates": 1}
    transformer = fleet.rig.transformer
    assert transformer is not None
    assert transformer.builds[-1] == ["fx__rates"]
    assert [finding.what for finding in fleet.rig.recorder.findings] == ["it says no"]

    sync_groups(fleet.sessions())
    assert fleet.counts() == {"orders": 1, "rates": 1}


def test_what_is_behind_a_group_that_was_never_loaded_waits_for_it_and_the_rest_is_settled() -> None:
    fleet = Fleet()
    transformer = fleet.rig.transformer
    assert transformer is not None
    fleet.commit(1)
    first, second = fleet.sessions()
    sync(first)
    transform_changed((first, second))
    assert (transformer.builds, transformer.absent) == ([None], ["fx__rates"])
    assert pending_transform((first, second)) is None
    sync(second)
    transform_changed((first, second))
    assert (transformer.builds, transformer.absent) == ([None, None], [])


def test_what_is_behind_a_stream_that_was_never_copied_waits_for_it() -> None:
    fleet = Fleet()
    transformer = fleet.rig.transformer
    assert transformer is not None
    sync_groups(fleet.sessions())
    assert transformer.absent == []
    fleet.rig.stream("items")
    transform(fleet.sessions())
    assert transformer.absent == ["shop__items"]


def test_of_several_failures_the_gravest_is_raised_and_names_the_others() -> None:
    fleet = Fleet()
    sync_groups(fleet.sessions())
    fleet.rig.database.faults = [SourceUnreachable("it is away", where="source shop")] * 5
    fleet.other.faults = [SourceRejected("it says no", where="source fx")]
    with pytest.raises(SourceRejected, match=r"it says no \(and of other groups: source shop: it is away\)"):
        sync_groups(fleet.sessions())


def test_a_long_run_goes_on_with_the_others_and_tries_again() -> None:
    class Stop(PatientStop):
        """Set once both groups have everything; what waits for it is let go."""

        def wait(self, timeout: float | None = None) -> bool:
            self.waits.append(timeout or 0.0)
            return threading.Event.wait(self, 0.001)

    fleet = Fleet(Rig(stop=Stop()))
    sync_groups(fleet.sessions())
    fleet.commit(1)
    fleet.rig.database.faults = [SourceRejected("it says no", where="source shop") for _ in range(2)]
    sessions = fleet.sessions()
    run = threading.Thread(target=lambda: results.append(stream_groups(sessions)))
    results: list[Any] = []
    run.start()
    patience = threading.Event()
    for _ in range(2_000):
        if fleet.counts() == {"orders": 1, "rates": 1}:
            break
        patience.wait(0.01)
    fleet.rig.stop.set()
    run.join(20)
    assert fleet.counts() == {"orders": 1, "rates": 1}
    assert [finding.what for finding in fleet.rig.recorder.findings] == ["it says no"]
    assert sorted(results[0].checkpoints) == ["fx__rates", "shop"]


def test_streams_choose_their_groups() -> None:
    fleet = Fleet()
    fleet.commit(1)
    sync_groups(fleet.sessions())
    sessions = fleet.sessions()
    assert chosen(sessions, ["rates"]) == ((sessions[1], ("rates",)),)
    with pytest.raises(ConfigError, match=r"no stream called nothing.*orders, rates"):
        resync_groups(sessions, ["nothing"])
    before = fleet.other.snapshot_count, fleet.rig.database.snapshot_count
    resync_groups(sessions, ["rates"])
    assert (fleet.other.snapshot_count, fleet.rig.database.snapshot_count) == (before[0] + 1, before[1])
    assert [verdict.stream for verdict in verify_groups(sessions, ["rates"]).verdicts] == ["rates"]
    everything = verify_groups(sessions)
    assert (everything.position, [verdict.stream for verdict in everything.verdicts]) == (None, ["orders", "rates"])
    assert everything.is_equal


def test_a_gap_that_was_not_agreed_to_is_not_accepted_even_where_every_stream_is_copied_again() -> None:
    fleet = Fleet()
    fleet.commit(1)
    sync_groups(fleet.sessions())
    fleet.rig.database.slot = None
    with pytest.raises(LogLost):
        resync_groups(fleet.sessions(), ["orders"], accepts_gap=False)
    assert fleet.rig.database.slot is None
    resync_groups(fleet.sessions(), ["orders"])
    assert fleet.rig.database.slot is not None


def test_what_is_told_of_groups_is_told_of_all() -> None:
    fleet = Fleet()
    planned = plan_groups(fleet.sessions())
    assert [(step.stream, step.action.value) for step in planned.steps] == [
        ("orders", "create"),
        ("orders", "copy"),
        ("rates", "create"),
        ("rates", "copy"),
    ]
    fleet.commit(1)
    sync_groups(fleet.sessions())
    told = status_groups(fleet.sessions())
    assert (told.checkpoint, sorted(told.checkpoints)) == (None, ["fx__rates", "shop"])
    assert [stream.stream for stream in told.streams] == ["orders", "rates"]
    assert len(told.loads) == 2
    whats = [finding.what for finding in doctor_groups(fleet.sessions())]
    assert whats.count("the memory warehouse loses everything when the process ends") == 1
