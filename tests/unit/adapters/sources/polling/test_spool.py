"""Pieces of one batch, in memory and on disk."""

from __future__ import annotations

import pyarrow as pa

from adapters.sources.polling.spool import Spool
from pipeline.domain.change import ChangeBatch, Misfit
from pipeline.domain.schema import Column, StreamSchema

SCHEMA = StreamSchema([Column("id", pa.int64()), Column("note", pa.string())], key=("id",))


def piece(number: int) -> ChangeBatch:
    table = pa.table({"id": pa.array(range(number, number + 100)), "note": pa.array([None, *["x" * number] * 99])})
    misfit = Misfit("note", pa.array([0], pa.int64()), pa.array([str(number)]), "odd")
    return ChangeBatch("orders", SCHEMA, table, (misfit,))


def test_pieces_come_again_as_they_were_as_often_as_asked() -> None:
    given = [piece(number) for number in range(1, 9)]
    for memory_bytes in (0, 2_000, 10**9):
        spool: Spool[ChangeBatch] = Spool(memory_bytes)
        for batch in given:
            spool.append(batch)
        for _ in range(2):
            assert [read.table for read in spool] == [batch.table for batch in given]
        assert [read.misfits for read in spool] == [batch.misfits for batch in given]
        assert len(spool) == len(given)
        assert spool[3].table == given[3].table
        assert [read.table for read in spool[6:]] == [batch.table for batch in given[6:]]


def test_no_more_than_allowed_stays_in_memory() -> None:
    def held(memory_bytes: int) -> int:
        before = pa.total_allocated_bytes()
        spool: Spool[ChangeBatch] = Spool(memory_bytes)
        for number in range(200, 240):
            spool.append(piece(number))
        return pa.total_allocated_bytes() - before

    assert held(50_000) < 100_000 < held(10**9)
