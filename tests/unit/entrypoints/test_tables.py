"""What a person sees of a status."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from rich.console import Console

from entrypoints.cli.tables import status_table
from pipeline.application.status import StatusResult
from pipeline.domain.checkpoint import Checkpoint
from pipeline.domain.counts import StreamCounts
from pipeline.domain.position import Position

AT = datetime(2026, 1, 1, 12, tzinfo=UTC)


def shown(load: dict[str, Any]) -> list[list[str]]:
    checkpoint = Checkpoint("shop", Position({"lsn": 9}), load=4, epoch=0, at=AT)
    result = StatusResult("shop", "a warehouse", checkpoint, AT, (), (load,), {"shop": checkpoint})
    console = Console(width=120)
    with console.capture() as capture:
        console.print(status_table(result, dag_url=None))
    return [line.split() for line in capture.get().splitlines()[-2:]]


@pytest.mark.parametrize(("paid", "heading", "cell"), [({"statement_count": 7}, ["statements"], ["7"]), ({}, [], [])])
def test_the_loads_tell_their_statements_where_those_are_paid_for(
    paid: dict[str, int], heading: list[str], cell: list[str]
) -> None:
    load = {"load": 4, "position": "{}", "at": AT, "seconds": 1.5, "counts": {"orders": StreamCounts(read_count=3)}}
    assert shown(load | paid) == [
        ["load", "at", "seconds", *heading, "changes", "streams"],
        ["4", "12:00:00", "1.50", *cell, "3", "orders"],
    ]
