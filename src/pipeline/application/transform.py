"""Builds the marts behind staging tables, and for a long stream keeps building them in the background."""

from __future__ import annotations

import threading
from collections.abc import Collection, Mapping, Sequence

import attrs

from pipeline.application.session import Session, chosen
from pipeline.application.threads import Workthread
from pipeline.domain.counts import StreamCounts
from pipeline.domain.errors import ConfigError, PipelineError
from pipeline.domain.events import TransformFinished
from pipeline.domain.finding import Finding, Level
from pipeline.ports.transformer import TransformResult

_POLL_S = 0.2


@attrs.frozen
class Pending:
    """What marts have not been built from: ``streams`` (None: everything that the pipeline selects), as of the load of
    each group.
    """

    streams: tuple[str, ...] | None
    loads: Mapping[str, int]


def transform(
    sessions: Sequence[Session], *, streams: Collection[str] | None = None, full_refresh: bool = False
) -> TransformResult:
    """Build and test what is downstream of ``streams`` (None: everything the pipeline selects)."""
    chosen(sessions, streams)
    loads = _loads(sessions)
    is_complete = streams is None or _changed(sessions, _transformed(sessions)) <= set(streams)
    pending = Pending(None if streams is None else tuple(streams), loads)
    return build(sessions, pending, full_refresh=full_refresh, settles=is_complete)


def transform_changed(sessions: Sequence[Session]) -> TransformResult | None:
    """Build what is downstream of the streams that changed since marts were last built, whoever loaded them; None if
    nothing did (P12).
    """
    pending = pending_transform(sessions)
    return None if pending is None else build(sessions, pending)


def pending_transform(sessions: Sequence[Session]) -> Pending | None:
    """What has changed since marts were last built, whoever loaded it; None if nothing has (P12)."""
    loads, transformed = _loads(sessions), _transformed(sessions)
    # After the loads were read: what comes in between is built now and is pending again.
    changed = _changed(sessions, transformed)
    if not changed or not loads:
        return None
    is_first = any(transformed[group] < 0 for group in loads)
    return Pending(None if is_first else tuple(sorted(changed)), loads)


def build(
    sessions: Sequence[Session], pending: Pending, *, full_refresh: bool = False, settles: bool = True
) -> TransformResult:
    """Build and test what is pending; what is behind a stream that was never copied waits for it. ``settles``: if all
    is good, it is not pending any more; where it is built in parts, that is for the last of them.
    """
    session = sessions[0]
    if session.transformer is None:
        raise ConfigError(
            "this pipeline has no transform section",
            where=f"pipeline {session.pipeline.name}",
            hint="Add `transform: {kind: dbt}` to its file.",
        )
    specs = [spec for each in sessions for spec in each.specs()]
    wanted = pending.streams
    tables = None if wanted is None else sorted(spec.table for spec in specs if spec.name in wanted)
    result = session.transformer.build(tables, absent=_absent(sessions), full_refresh=full_refresh)
    if settles and not result.failed:
        for group, load in pending.loads.items():
            session.warehouse.set_transformed(group, load)
    _report(session, result)
    return result


def _loads(sessions: Sequence[Session]) -> dict[str, int]:
    """The number of each group's latest load."""
    found = {session.group: session.warehouse.checkpoint(session.group) for session in sessions}
    return {group: checkpoint.load for group, checkpoint in found.items() if checkpoint is not None}


def _transformed(sessions: Sequence[Session]) -> dict[str, int]:
    """The load of each group that marts were last built up to, -1 if never."""
    return {session.group: session.warehouse.transformed(session.group) for session in sessions}


def _changed(sessions: Sequence[Session], since: Mapping[str, int]) -> frozenset[str]:
    """The streams that loads after ``since`` changed."""
    changed: frozenset[str] = frozenset()
    for session in sessions:
        found = session.warehouse.changed_since(session.group, since[session.group])
        changed |= found & frozenset(session.pipeline.streams)
    return changed


def _absent(sessions: Sequence[Session]) -> tuple[str, ...]:
    """The staging tables that are not there, or empty, since their streams were never copied."""
    return tuple(
        spec.table
        for session in sessions
        for known in [session.warehouse.states(session.group)]
        for spec in session.specs()
        if spec.name not in known
    )


def _report(session: Session, result: TransformResult) -> None:
    session.metrics.record(
        TransformFinished(
            models=sum(node.kind == "model" for node in result.nodes),
            tests=sum(node.kind == "test" for node in result.nodes),
            seconds=result.seconds,
            error=f"{len(result.failed)} nodes failed" if result.failed else None,
        )
    )
    if result.failed:
        names = ", ".join(node.name for node in result.failed)
        session.notifier.notify(
            Finding(Level.ERROR, "transform", f"dbt reported failures: {names}", hint="See dbt's log."),
            pipeline=session.pipeline.name,
        )


def _failure(error: Exception) -> Finding:
    if isinstance(error, PipelineError):
        return Finding.of(error, "transform")
    what = f"building marts failed unexpectedly with {type(error).__name__}"
    return Finding(Level.ERROR, "transform", what, hint="This is a defect: please report it with the log.")


class MartRefresher:
    """Builds marts behind a long stream, in a thread of its own, at most every ``transform_every_s`` seconds and only
    where streams changed. A failed build is reported and tried again when its time comes; loading goes on.
    """

    def __init__(self, sessions: Sequence[Session]) -> None:
        self._sessions = sessions
        self._session = sessions[0]
        self._dirty = threading.Event()
        self._dirty.set()  # something may have been loaded before that no marts were built from
        self._closed = threading.Event()
        self._thread = Workthread(self._run, name="marts")

    def __enter__(self) -> MartRefresher:
        if self._session.transformer is not None:
            self._session.transformer.warm()
            self._thread.start_or(self._closed.set)
        return self

    def __exit__(self, *_: object) -> None:
        self._closed.set()
        if self._thread.is_alive() and self._session.transformer is not None:
            self._session.transformer.close()
            self._thread.outlast(self._session.transformer.close)  # it may just have been about to begin another build

    def note(self, counts: dict[str, StreamCounts]) -> None:
        """Take note of what a load changed."""
        if any(count.changelog_count for count in counts.values()):
            self._dirty.set()

    def _run(self) -> None:
        every_s = self._session.pipeline.transform_every_s
        last = self._session.clock.monotonic() - every_s
        while not self._closed.wait(_POLL_S):
            if self._dirty.is_set() and self._session.clock.monotonic() - last >= every_s:
                self._dirty.clear()
                self._build()
                last = self._session.clock.monotonic()

    def _build(self) -> None:
        try:
            result = transform_changed(self._sessions)
        except Exception as error:  # whatever it is: marts must not stand still in silence while loading goes on
            self._dirty.set()
            if not self._closed.is_set():
                self._session.notifier.notify(_failure(error), pipeline=self._session.pipeline.name)
        else:
            if result is not None and result.failed:
                self._dirty.set()
