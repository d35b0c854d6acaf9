"""Which of row and idle comment holds: writers that slept write old comments, and rows of loads outdate them."""

from __future__ import annotations

from datetime import UTC, datetime

import attrs
import pytest

from adapters.warehouses.snowflake.checkpoints import Recorded
from pipeline.domain.checkpoint import Checkpoint
from pipeline.domain.position import Position

ROW = Checkpoint("shop", Position({"lsn": 10}), load=5, epoch=1, at=datetime(2026, 1, 1, tzinfo=UTC))


def comment(*, lsn: int, load: int, epoch: int = 1) -> Checkpoint:
    return attrs.evolve(ROW, position=Position({"lsn": lsn}), load=load, epoch=epoch)


@pytest.mark.parametrize(
    ("noted", "is_newer"),
    [
        (None, False),
        (comment(lsn=20, load=6), True),
        (comment(lsn=10, load=6), True),
        (comment(lsn=10, load=5), False),
        (comment(lsn=9, load=9), False),
        (comment(lsn=20, load=3), True),
        (comment(lsn=20, load=9, epoch=0), False),
    ],
    ids=[
        "none",
        "farther",
        "the same position later",
        "the same",
        "behind a load that a sleeper made, though later",
        "farther with a lower number",
        "of a log that was lost since",
    ],
)
def test_the_farther_one_of_the_present_epoch_holds(noted: Checkpoint | None, is_newer: bool) -> None:
    assert Recorded(ROW, noted).newest == (noted if is_newer else ROW)


def test_a_comment_that_does_not_cover_every_part_of_the_row_does_not_hold() -> None:
    row = attrs.evolve(ROW, position=Position({"0": 5, "1": 5}))
    noted = attrs.evolve(ROW, position=Position({"0": 9, "1": 4}), load=9)
    assert Recorded(row, noted).newest == row
