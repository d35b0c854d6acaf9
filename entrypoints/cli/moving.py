"""Commands that load or build: run, stream, resync, transform."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import attrs

from adapters.metrics.live import StreamView
from entrypoints.cli.invocation import invocation
from entrypoints.cli.options import Common
from entrypoints.cli.output import show
from entrypoints.cli.plain import sync_json, transform_json
from entrypoints.display import progress
from pipeline.application.session import Session
from pipeline.application.sync import SyncResult
from pipeline.domain.errors import PipelineError, TransformFailed
from pipeline.ports.transformer import TransformResult


def run(pipeline: str, common: Common, *, with_transform: bool) -> int:
    """A bounded run."""
    from pipeline.application.groups import sync_groups

    moved = _move("run", pipeline, common, lambda sessions: sync_groups(sessions, with_transform=with_transform))
    return _finished(pipeline, common, moved)


def resync(pipeline: str, common: Common, *, streams: tuple[str, ...], with_transform: bool) -> int:
    """Copy streams again, all of them if none is named."""
    from pipeline.application.groups import resync_groups

    def work(sessions: Sequence[Session]) -> SyncResult:
        return resync_groups(sessions, streams or None, with_transform=with_transform)

    return _finished(pipeline, common, _move("resync", pipeline, common, work))


def stream(pipeline: str, common: Common, *, with_transform: bool) -> int:
    """Follow the source until somebody stops it, which is its proper end."""
    from pipeline.application.groups import stream_groups

    moved = _move("stream", pipeline, common, lambda sessions: stream_groups(sessions, with_transform=with_transform))
    _show(common, moved)
    return 0


def transform(pipeline: str, common: Common, *, streams: tuple[str, ...], full_refresh: bool) -> int:
    """Build marts; the source need not be there."""
    from pipeline.application.transform import transform as build

    with invocation("transform", pipeline, common, needs_source=False) as call:
        result = build(call.sessions, streams=streams or None, full_refresh=full_refresh)
    show(common, as_json=lambda: transform_json(result), as_table=lambda: _transform_table(result))
    _refuse_failed(pipeline, result)
    return 0


@attrs.frozen
class _Moved:
    """What a command did: the use case's result, and the streams that it copied."""

    result: SyncResult
    copies: tuple[StreamView, ...]


def _move(command: str, pipeline: str, common: Common, work: Callable[[Sequence[Session]], SyncResult]) -> _Moved:
    with (
        progress(hidden=common.as_json) as board,
        invocation(command, pipeline, common, graceful=True, quiet=board.is_shown, metrics=(board.metrics,)) as call,
    ):
        result = work(call.sessions)
        return _Moved(result, tuple(view for view in board.metrics.view() if view.is_copied))


def _finished(pipeline: str, common: Common, moved: _Moved) -> int:
    _show(common, moved)
    result = moved.result
    if result.transformed is not None:
        _refuse_failed(pipeline, result.transformed)
    if result.stopped:
        raise PipelineError(
            "stopped before the end",
            where=f"pipeline {pipeline}",
            hint="Run the same command again: it goes on from the checkpoint.",
        )
    return 0


def _show(common: Common, moved: _Moved) -> None:
    show(common, as_json=lambda: sync_json(moved.result, copies=moved.copies), as_table=lambda: _sync_table(moved))


def _refuse_failed(pipeline: str, result: TransformResult) -> None:
    if result.failed:
        raise TransformFailed(
            f"dbt reported failures: {', '.join(node.name for node in result.failed)}",
            where=f"pipeline {pipeline}",
            hint="The previous marts are still in place; dbt's log has the statements.",
        )


def _sync_table(moved: _Moved) -> object:
    from entrypoints.cli.tables import sync_table

    return sync_table(moved.result, copies=moved.copies)


def _transform_table(result: TransformResult) -> object:
    from entrypoints.cli.tables import transform_table

    return transform_table(result)
