"""Positions of looks only move forward, whatever the clock does."""

import pytest

from adapters.sources.polling import positions
from adapters.sources.polling.positions import Instants, instant_of, position
from pipeline.domain.errors import LogLost
from pipeline.domain.position import Position


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The clock; its only item is now."""
    now = [5_000_000]
    monkeypatch.setattr(positions, "_now", lambda: now[0])
    return now


def test_instants_follow_the_clock(clock: list[int]) -> None:
    instants = Instants()
    assert (instants.now(), instants.next()) == (5_000_000, 5_000_000)
    clock[0] = 9_000_000
    assert (instants.now(), instants.next()) == (9_000_000, 9_000_000)


def test_looks_in_a_row_and_a_clock_set_back_leave_room_for_batches(clock: list[int]) -> None:
    instants = Instants()
    instants.pass_by(8_000_000)
    assert [instants.next() for _ in range(3)] == [8_100_000, 8_200_000, 8_300_000]
    assert instants.now() == instants.now() == 8_300_000


def test_no_time_is_told_that_is_still_to_come(clock: list[int]) -> None:
    assert Instants().by_clock(8_000_000) == 5_000_000
    assert Instants().by_clock(4_000_000) == 4_000_000


def test_a_position_is_an_instant_and_nothing_else() -> None:
    assert instant_of(position(17)) == 17
    for other in (Position({"lsn": 17}), Position({"at": "17"})):
        with pytest.raises(LogLost) as lost:
            instant_of(other)
        assert lost.value.facts["case"] == "another_kind"
