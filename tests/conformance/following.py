"""Applies what a source delivers as naively as can be, checking what has to hold of every snapshot and batch."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import attrs
import pyarrow as pa

from pipeline.domain.bookmarks import NO_BOOKMARKS, moved
from pipeline.domain.change import COMMIT_AT, OLD_KEY, OP, SEQUENCE, ChangeBatch, GroupBatch, Operation, change_schema
from pipeline.domain.checkpoint import Checkpoint
from pipeline.domain.position import PHASE_LOG, PHASE_SNAPSHOT, Position, Sequence
from pipeline.domain.stream import StreamSpec
from pipeline.ports.source import Snapshot

EPOCH = 7


@attrs.define
class Follower:
    """What a warehouse would hold: rows by id, position and bookmarks, all of them moved by each batch together.

    ``batches`` are the changes of each batch that had any: stream, operation, id. ``misfits`` are the values that no
    column could hold, by stream: id, column, text.
    """

    streams: dict[str, tuple[StreamSpec, Position]]
    position: Position
    rows: dict[str, dict[int, dict[str, Any]]]
    sequences: dict[str, list[int]] = attrs.field(factory=dict)
    batches: list[list[tuple[str, str, int]]] = attrs.field(factory=list)
    covered: dict[str, int] = attrs.field(factory=dict)
    bookmarks: dict[str, pa.Table] = attrs.field(factory=dict)
    misfits: dict[str, set[tuple[int, str, str]]] = attrs.field(factory=dict)

    @property
    def checkpoint(self) -> Checkpoint:
        """The checkpoint of what was applied."""
        return Checkpoint("shop", self.position, load=0, epoch=EPOCH, at=datetime(2026, 1, 1, tzinfo=UTC))

    def bookmarks_of(self, stream: str) -> pa.Table:
        """What the source is to be given again."""
        return self.bookmarks.get(stream, NO_BOOKMARKS)

    def copied(self) -> Follower:
        """Another one that stands where this one does, and has taken no batch yet."""
        return attrs.evolve(
            self,
            streams=dict(self.streams),
            rows={stream: dict(rows) for stream, rows in self.rows.items()},
            sequences={stream: list(known) for stream, known in self.sequences.items()},
            batches=[],
            covered=dict(self.covered),
            bookmarks=dict(self.bookmarks),
            misfits={stream: set(known) for stream, known in self.misfits.items()},
        )

    def take(self, batch: GroupBatch) -> None:
        """Apply a batch."""
        assert batch.after == self.position
        assert batch.up_to.covers(batch.after)
        pieces = list(batch.pieces)
        assert {piece.stream for piece in pieces} == set(batch.schemas)
        assert sum(piece.row_count for piece in pieces) == batch.row_count
        seen = []
        for piece in pieces:
            assert piece.schema in batch.schemas[piece.stream]
            rows = self._in_order(piece, PHASE_LOG)
            for row in rows:
                seen.append((piece.stream, Operation(row[OP]).label, row["id"]))
                self._apply(piece, row)
            self._note_misfits(piece, rows)
        for stream, count in batch.covered_counts.items():
            self.covered[stream] = self.covered.get(stream, 0) + count
        for stream, told in batch.bookmarks.items():
            assert len(set(told["name"].to_pylist())) == told.num_rows
            self.bookmarks[stream] = moved(self.bookmarks_of(stream), told)
        self.position = batch.up_to
        if seen:
            assert batch.transaction_count > 0
            assert batch.first_commit_at is not None
            self.batches.append(seen)

    def copy(self, snapshot: Snapshot, stream: str) -> None:
        """Take the rows of a snapshot, and what is to be remembered of them."""
        keys = []
        for piece in snapshot.read(stream):
            assert piece.schema == snapshot.schemas[stream]
            assert piece.row_count > 0
            rows = self._in_order(piece, PHASE_SNAPSHOT)
            for row in rows:
                assert row[OP] == Operation.SNAPSHOT
                keys.append(row["id"])
                self._apply(piece, row)
            self._note_misfits(piece, rows)
        assert not snapshot.has_unique_keys or len(keys) == len(set(keys))
        kept = snapshot.bookmarks(stream)
        if kept is not None:
            assert len(set(kept["name"].to_pylist())) == kept.num_rows
            self.bookmarks[stream] = kept

    def _in_order(self, piece: ChangeBatch, phase: int) -> list[dict[str, Any]]:
        assert piece.table.schema == change_schema(piece.schema)
        rows: list[dict[str, Any]] = piece.table.to_pylist()
        known = self.sequences.setdefault(piece.stream, [])
        for row in rows:
            packed = int(row[SEQUENCE])
            sequence = Sequence.unpack(packed)
            assert (sequence.epoch, sequence.phase) == (EPOCH, phase)
            assert not known or packed > known[-1]
            assert row[COMMIT_AT] is not None
            known.append(packed)
        return rows

    def _apply(self, piece: ChangeBatch, row: dict[str, Any]) -> None:
        rows = self.rows[piece.stream]
        if row[OP] == Operation.TRUNCATE:
            rows.clear()
            self.misfits.pop(piece.stream, None)
            return
        if row[OLD_KEY] is not None:
            rows.pop(row[OLD_KEY]["id"], None)
        if row[OP] == Operation.DELETE:
            rows.pop(row["id"], None)
        else:
            rows[row["id"]] = {name: row[name] for name in piece.schema.names}

    def _note_misfits(self, piece: ChangeBatch, rows: list[dict[str, Any]]) -> None:
        known = self.misfits.setdefault(piece.stream, set())
        told = {row["id"] for row in rows}
        known -= {misfit for misfit in known if misfit[0] in told}
        for misfit in piece.misfits:
            for number, text in zip(misfit.rows.to_pylist(), misfit.texts.to_pylist(), strict=True):
                assert rows[number][misfit.column] is None
                known.add((rows[number]["id"], misfit.column, text))
