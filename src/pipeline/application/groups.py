"""Use cases over all groups of a pipeline: each group by itself, so that one that fails stops no other; marts once.

What is done with one group is told in the use case of the same name; ``Session`` is one group, ready to run.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import nullcontext
from functools import partial
from typing import TypeVar

import attrs

from pipeline.application.crew import work_side_by_side
from pipeline.application.doctor import doctor
from pipeline.application.plan import PlanResult, plan
from pipeline.application.pump import OnLoaded
from pipeline.application.resync import resync
from pipeline.application.session import Chosen, Session, chosen
from pipeline.application.status import StatusResult, status
from pipeline.application.stream import follow
from pipeline.application.sync import SyncResult, sync
from pipeline.application.transform import MartRefresher, transform_changed
from pipeline.application.verify import VerifyResult, verify
from pipeline.domain.checkpoint import Checkpoint
from pipeline.domain.counts import StreamCounts, add_counts
from pipeline.domain.errors import ErrorKind, PipelineError
from pipeline.domain.finding import Finding

Result = TypeVar("Result")

#: How many groups a bounded run moves at a time: enough to wait for several systems at once, and few enough that what
#: their batches hold in memory stays small (P11).
AT_ONCE = 4

#: How long a group that cannot go on rests in a long run before it is tried again, in seconds.
REST_S = 60.0

_SEVERITY = (ErrorKind.UNREACHABLE, ErrorKind.REJECTED, ErrorKind.FAILURE)


def sync_groups(sessions: Sequence[Session], *, with_transform: bool = True) -> SyncResult:
    """A bounded run of every group, then the marts behind all that changed."""
    return _moved(sessions, chosen(sessions, None), lambda session, _: sync(session), with_transform=with_transform)


def resync_groups(
    sessions: Sequence[Session],
    streams: Collection[str] | None,
    *,
    with_transform: bool = True,
    accepts_gap: bool = True,
) -> SyncResult:
    """Copy streams again (None: all), each group that has any of them by itself, then build the marts. Raises
    ``LogLost`` where a group has a gap and not all of its streams are named, or no gap is accepted.
    """

    def work(session: Session, names: tuple[str, ...] | None) -> SyncResult:
        again = tuple(session.pipeline.streams) if names is None else names
        return resync(session, again, accepts_gap=accepts_gap)

    return _moved(sessions, chosen(sessions, streams), work, with_transform=with_transform)


def stream_groups(sessions: Sequence[Session], *, with_transform: bool = True) -> SyncResult:
    """Follow every source until stopped, all groups side by side.

    Where there are several, a group that cannot go on is told of, rests and is tried again: the others go on. Raises
    what a group last failed with, if it did not recover before the stop.
    """
    marts = MartRefresher(sessions) if with_transform and sessions[0].transformer is not None else None
    with marts or nullcontext():
        note: OnLoaded = marts.note if marts is not None else lambda _: None
        if len(sessions) == 1:
            return follow(sessions[0], on_loaded=note)
        followers = {session.group: _Follower(session, note) for session in sessions}
        work_side_by_side({group: follower.run for group, follower in followers.items()}, stop=sessions[0].stop)
    _raise([follower.failure for follower in followers.values() if follower.failure is not None])
    return _merged([follower.result for follower in followers.values() if follower.result is not None])


def verify_groups(
    sessions: Sequence[Session], streams: Collection[str] | None = None, *, repair: bool = False
) -> VerifyResult:
    """Compare streams with their sources, each group at a position of its own."""
    results = _each(chosen(sessions, streams), lambda session, names: verify(session, names, repair=repair))
    return VerifyResult(
        position=results[0].position if len(results) == 1 else None,
        verdicts=tuple(verdict for result in results for verdict in result.verdicts),
        seconds=sum(result.seconds for result in results),
    )


def plan_groups(sessions: Sequence[Session]) -> PlanResult:
    """What a run would do, group by group."""
    results = [plan(session, with_warehouse=number == 0) for number, session in enumerate(sessions)]
    if len(results) == 1:
        return results[0]
    return PlanResult(
        steps=tuple(step for result in results for step in result.steps),
        findings=tuple(dict.fromkeys(finding for result in results for finding in result.findings)),
        checkpoint=None,
        log=None,
        checkpoints=_checkpoints(results),
    )


def doctor_groups(sessions: Sequence[Session]) -> tuple[Finding, ...]:
    """Findings on every group's source, on the warehouse and on dbt, each said once."""
    found = [
        finding for number, session in enumerate(sessions) for finding in doctor(session, with_warehouse=number == 0)
    ]
    return tuple(dict.fromkeys(found))


def status_groups(sessions: Sequence[Session], *, load_limit: int = 10) -> StatusResult:
    """Where every group is; of loads the latest of all groups."""
    results = [status(session, load_limit=load_limit) for session in sessions]
    if len(results) == 1:
        return results[0]
    loads = [load for result in results for load in result.loads]
    return attrs.evolve(
        results[0],
        checkpoint=None,
        checkpoints=_checkpoints(results),
        streams=tuple(stream for result in results for stream in result.streams),
        loads=tuple(sorted(loads, key=lambda load: str(load["at"]), reverse=True)[:load_limit]),
    )


@attrs.define(eq=False)
class _Follower:
    """Follows one group among several."""

    session: Session
    note: OnLoaded
    result: SyncResult | None = None
    failure: PipelineError | None = None

    def run(self) -> None:
        """Until the stop is set."""
        while not self.session.stop.is_set():
            try:
                self.result = follow(self.session, on_loaded=self._recovered)
            except PipelineError as error:
                self._tell(error)
                self.session.stop.wait(REST_S)

    def _recovered(self, counts: dict[str, StreamCounts]) -> None:
        self.failure = None
        self.note(counts)

    def _tell(self, error: PipelineError) -> None:
        is_known = self.failure is not None and self.failure.what == error.what
        self.failure = error
        if not is_known:
            self.session.notifier.notify(Finding.of(error, "stream"), pipeline=self.session.pipeline.name)


def _moved(
    sessions: Sequence[Session],
    groups: Sequence[Chosen],
    work: Callable[[Session, tuple[str, ...] | None], SyncResult],
    *,
    with_transform: bool,
) -> SyncResult:
    """Move each group, build the marts behind what was moved, then say what failed."""
    started = sessions[0].clock.monotonic()
    results, failures = _tried(groups, work, tells=True)
    transformed = None
    if with_transform and sessions[0].transformer is not None and not sessions[0].stop.is_set() and results:
        transformed = transform_changed(sessions)
    _raise(failures)
    seconds = sessions[0].clock.monotonic() - started
    return attrs.evolve(_merged(results), seconds=seconds, transformed=transformed)


def _each(groups: Sequence[Chosen], work: Callable[[Session, tuple[str, ...] | None], Result]) -> list[Result]:
    results, failures = _tried(groups, work, tells=False)
    _raise(failures)
    return results


def _tried(
    groups: Sequence[Chosen], work: Callable[[Session, tuple[str, ...] | None], Result], *, tells: bool
) -> tuple[list[Result], list[PipelineError]]:
    """Work on the groups side by side; results and failures in the order of the groups. Once a stop is asked for, no
    more are begun, but for the first, which tells that it was stopped. ``tells``: people are told of a group that fails
    as soon as it does, since others may go on for long; but not of what a stop brought about.
    """
    if not groups:
        return [], []
    results: dict[str, Result] = {}
    failures: dict[str, PipelineError] = {}

    def attempt(session: Session, names: tuple[str, ...] | None) -> None:
        if session.stop.is_set() and session is not groups[0][0]:
            return
        try:
            results[session.group] = work(session, names)
        except PipelineError as error:
            failures[session.group] = error
            if tells and len(groups) > 1 and not session.stop.is_set():
                session.notifier.notify(Finding.of(error, "group"), pipeline=session.pipeline.name)

    tasks = {session.group: partial(attempt, session, names) for session, names in groups}
    work_side_by_side(tasks, stop=groups[0][0].stop, at_most=AT_ONCE)
    return [results[group] for group in tasks if group in results], [
        failures[group] for group in tasks if group in failures
    ]


def _raise(failures: Sequence[PipelineError]) -> None:
    """Raise the gravest of what failed; the others are told in it."""
    if not failures:
        return
    gravest = max(failures, key=lambda error: _SEVERITY.index(error.kind))
    others = [error for error in failures if error is not gravest]
    if others:
        told = "; ".join(f"{error.where}: {error.what}" for error in others)
        gravest.what = f"{gravest.what} (and of other groups: {told})"
        gravest.args = (gravest.what,)
    raise gravest


def _merged(results: Sequence[SyncResult]) -> SyncResult:
    if len(results) == 1:
        return results[0]
    counts: dict[str, StreamCounts] = {}
    for result in results:
        add_counts(counts, result.counts)
    return SyncResult(
        checkpoint=None,
        counts=counts,
        batch_count=sum(result.batch_count for result in results),
        transaction_count=sum(result.transaction_count for result in results),
        seconds=max((result.seconds for result in results), default=0.0),
        stopped=any(result.stopped for result in results),
        checkpoints=_checkpoints(results),
    )


def _checkpoints(results: Iterable[PlanResult | StatusResult | SyncResult]) -> dict[str, Checkpoint]:
    return {group: at for result in results for group, at in result.checkpoints.items()}
