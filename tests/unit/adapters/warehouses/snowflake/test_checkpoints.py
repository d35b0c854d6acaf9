"""Which of row and idle comment holds: a comment stands on one row, and is void once that was moved."""

from __future__ import annotations

from datetime import UTC, datetime

import attrs
import pytest

from adapters.warehouses.snowflake.checkpoints import Idle, Recorded, place_of
from pipeline.domain.checkpoint import Checkpoint
from pipeline.domain.position import Position

ROW = Checkpoint("shop", Position({"lsn": 10}), load=5, epoch=1, at=datetime(2026, 1, 1, tzinfo=UTC))
FARTHER = attrs.evolve(ROW, position=Position({"lsn": 20}), load=9)


@pytest.mark.parametrize("noted", [FARTHER, attrs.evolve(ROW, load=6)], ids=["farther", "the same position later"])
def test_a_comment_on_the_present_row_holds(noted: Checkpoint) -> None:
    assert Recorded(ROW, Idle(noted, place_of(ROW))).newest == noted


@pytest.mark.parametrize(
    "former",
    [
        attrs.evolve(ROW, load=4),
        attrs.evolve(ROW, position=Position({"lsn": 9})),
        attrs.evolve(ROW, epoch=0),
    ],
    ids=["load", "position", "epoch"],
)
def test_a_comment_on_a_row_that_was_moved_is_void_even_if_it_is_farther(former: Checkpoint) -> None:
    assert Recorded(ROW, Idle(FARTHER, place_of(former))).newest == ROW


def test_without_a_comment_the_row_holds() -> None:
    assert Recorded(ROW).newest == ROW
