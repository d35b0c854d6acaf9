"""P4: a checkpoint only moves forward."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from pipeline.domain.checkpoint import Checkpoint
from pipeline.domain.position import Position

AT = datetime(2026, 1, 1, tzinfo=UTC)
HERE = Checkpoint(group="shop", position=Position({"lsn": 10}), load=4, epoch=2, at=AT)


def test_the_next_checkpoint_is_the_next_load_at_a_later_position() -> None:
    later = AT + timedelta(seconds=1)
    assert HERE.next(Position({"lsn": 11}), at=later) == Checkpoint(
        group="shop", position=Position({"lsn": 11}), load=5, epoch=2, at=later
    )


def test_a_load_may_stay_at_its_position() -> None:
    assert HERE.next(HERE.position, at=AT).position == HERE.position


@pytest.mark.parametrize("position", [Position({"lsn": 9}), Position({"other": 11}), Position({})])
def test_a_checkpoint_never_moves_backward(position: Position) -> None:
    with pytest.raises(ValueError, match="backward"):
        HERE.next(position, at=AT)
