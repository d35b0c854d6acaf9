"""Decodes recordings of a real log, checked against the oracle, and shows them as plain values."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

from adapters.sources.postgres.messages import read_relation
from adapters.sources.postgres.pgoutput import Decoded, Decoder
from pipeline.domain.change import Operation, change_schema
from tests.support import pgoutput_oracle
from tests.support.pglog import Recorder

Record = Callable[..., AbstractContextManager[Recorder]]


def decode(recorder: Recorder, *, since: int = 0) -> Decoded:
    """The whole recording in one feed, checked against the oracle."""
    frames = recorder.frames()
    decoded = Decoder(epoch=2, resolve=recorder.resolver(since=since)).feed(frames)
    expected = pgoutput_oracle.decode(frames, lambda _, text: recorder.track(read_relation(text), since=since), epoch=2)
    assert rows(decoded) == expected
    return decoded


def rows(decoded: Decoded, stream: str | None = None) -> Any:
    """The rows of each stream (or one) as dicts, the form of each table checked."""
    found: dict[str, list[dict[str, Any]]] = {}
    for piece in decoded.pieces:
        assert piece.table.schema == change_schema(piece.schema)
        piece.table.validate(full=True)
        found.setdefault(piece.stream, []).extend(piece.table.to_pylist())
    assert sum(map(len, found.values())) == decoded.row_count
    return found if stream is None else found[stream]


def brief(decoded: Decoded, stream: str, *names: str) -> list[tuple[Any, ...]]:
    """Operation labels and some columns of a stream's rows."""
    return [(Operation(row["_cdc_op"]).label, *(row[name] for name in names)) for row in rows(decoded, stream)]
