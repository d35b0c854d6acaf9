"""One stream within a load: what waits to be compacted together is bounded by rows and by bytes."""

import attrs
import pytest

from pipeline.application.streamload import StreamLoad
from pipeline.domain.change import ChangeBatch, Operation
from pipeline.domain.loading import LoadStep, Target
from pipeline.domain.position import PHASE_LOG
from pipeline.domain.quarantine import Waiting
from pipeline.domain.stream import Mode, StreamSpec
from tests.support.memory_source import ORDERS, change_table


@attrs.define
class Steps:
    """A load that keeps the number of rows of each step."""

    row_counts: list[int] = attrs.field(factory=list)

    def apply(self, step: LoadStep) -> None:
        self.row_counts.append(step.changes.num_rows)


def piece(number: int, *, width: int) -> ChangeBatch:
    rows = [(Operation.INSERT, {"id": number * 10 + place, "status": "x" * width}) for place in range(10)]
    return ChangeBatch("orders", ORDERS, change_table(ORDERS, rows, epoch=0, commit=number, phase=PHASE_LOG))


@pytest.mark.parametrize(
    ("rows", "size", "width", "steps"),
    [(1_000, 1_000_000, 10, [100]), (25, 1_000_000, 10, [30, 30, 30, 10]), (1_000, 25_000, 1_000, [30, 30, 30, 10])],
)
def test_pieces_are_applied_once_their_rows_or_bytes_are_enough(
    rows: int, size: int, width: int, steps: list[int]
) -> None:
    load = Steps()
    stream = StreamLoad(
        spec=StreamSpec("orders", "orders", "shop"),
        target=Target("orders", "shop__orders", Mode.MIRROR, ORDERS),
        waiting=Waiting(),
        flush_rows=rows,
        flush_bytes=size,
    )
    for number in range(10):
        stream.take(load, piece(number, width=width))  # type: ignore[arg-type] # all of a load that is used here
    stream.flush(load)  # type: ignore[arg-type] # as above
    assert load.row_counts == steps
    assert stream.counts.changelog_count == 100
