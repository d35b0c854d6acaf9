"""Copies streams from a snapshot into the warehouse, each in one load transaction, whatever was there before.

Which streams to copy is decided in ``beginning``.
"""

from __future__ import annotations

from collections.abc import Iterator

import attrs

from pipeline.application.prefetch import ahead
from pipeline.application.session import Session
from pipeline.application.streamload import StreamLoad, evolve_state
from pipeline.domain.change import ChangeBatch
from pipeline.domain.checkpoint import Checkpoint, Phase, StreamState
from pipeline.domain.errors import PipelineError
from pipeline.domain.events import CopyAdvanced, CopyFinished, CopyStarted
from pipeline.domain.evolution import is_recreated, without_source_ids
from pipeline.domain.loading import Migration
from pipeline.domain.processing import check_masks, processed_schema
from pipeline.domain.quarantine import Waiting
from pipeline.domain.stream import StreamSpec
from pipeline.ports.source import Snapshot
from pipeline.ports.warehouse import Load, target_of

#: How many pieces of a snapshot are read while others are written.
READ_AHEAD = 4


class Interrupted(PipelineError):
    """A stop was asked for in the middle of something that cannot be kept half done: the next start does it again."""


def create_tables(
    session: Session, snapshot: Snapshot, spec: StreamSpec, *, checkpoint: Checkpoint, known: StreamState | None
) -> tuple[StreamState, Checkpoint]:
    """Create a stream's tables, or bring those it has in line with the snapshot's schema; the state to copy into, and
    the checkpoint to go on from.
    """
    schema = snapshot.schemas[spec.name]
    check_masks(schema, spec.masks)
    if known is None:
        state = StreamState(
            stream=spec.name,
            table=spec.table,
            mode=spec.mode,
            phase=Phase.COPYING,
            since=snapshot.position,
            schema=processed_schema(schema, spec.masks),
        )
        migration: Migration | None = Migration(target_of(state))
    else:
        before = without_source_ids(known.schema) if is_recreated(known.schema, schema) else known.schema
        current = attrs.evolve(known, mode=spec.mode, phase=Phase.COPYING, since=snapshot.position, schema=before)
        state, migration, _ = evolve_state(
            current, (schema,), spec=spec, warehouse=session.warehouse, copied_in=spec.mode
        )
    if migration is not None:
        checkpoint = session.warehouse.migrate(checkpoint, [migration])
    return state, checkpoint


def copy_stream(session: Session, snapshot: Snapshot, state: StreamState, *, checkpoint: Checkpoint) -> Checkpoint:
    """Copy one stream; on return the warehouse holds it as of the snapshot. The checkpoint's position stays."""
    spec = session.pipeline.streams[state.stream]
    started = session.clock.monotonic()
    session.metrics.record(CopyStarted(spec.name, snapshot.estimate(spec.name)))
    following = checkpoint.next(checkpoint.position, at=session.clock.now())
    target = target_of(state)
    stream = StreamLoad(
        spec=spec,
        target=target,
        waiting=Waiting(),
        flush_rows=1,
        flush_bytes=1,
        limits=session.warehouse.limits,
        is_copy=snapshot.has_unique_keys,
    )
    with session.warehouse.load(checkpoint, following) as load:
        load.replace(target)
        _fill(session, load, stream, snapshot.read(spec.name))
        load.finish_replace(target)
        bookmarks = snapshot.bookmarks(spec.name)
        if bookmarks is not None:
            load.remember(spec.name, bookmarks, replaces=True)
        load.set_state(attrs.evolve(state, phase=Phase.STREAMING))
        load.commit({spec.name: stream.counts})
    seconds = session.clock.monotonic() - started
    counts = stream.counts
    session.metrics.record(CopyFinished(spec.name, counts.read_count, seconds, counts.quarantined_count))
    return following


def _fill(session: Session, load: Load, stream: StreamLoad, batches: Iterator[ChangeBatch]) -> None:
    with ahead(batches, depth=READ_AHEAD) as pieces:
        for piece in pieces:
            if session.stop.is_set():
                raise Interrupted(
                    "stopped while copying; nothing of this stream was kept",
                    where=f"stream {stream.spec.name}",
                    hint="Start again: streams already copied are not read again.",
                )
            stream.take(load, piece)
            session.metrics.record(CopyAdvanced(stream.spec.name, stream.counts.read_count))
        stream.flush(load)
