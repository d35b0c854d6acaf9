"""Looks at a pipeline's source again and again, outside of any task: what triggers and the sensor share.

What Airflow does for a reason to run is ``triggers``' and ``sensor``'s.
"""

from __future__ import annotations

import asyncio
import math
import threading
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from pathlib import Path

import attrs
import structlog
from asgiref.sync import sync_to_async

from entrypoints.airflow.credentials import AirflowEnvironment
from entrypoints.airflow.watched import Watched
from entrypoints.container import detector_of
from entrypoints.logs import describe_exception
from entrypoints.pipeline_file import load_pipeline
from entrypoints.problems import Problem, refuse
from entrypoints.redaction import Redactor
from entrypoints.settings import load_settings
from pipeline.domain.errors import PipelineError
from pipeline.domain.stream import PipelineSpec
from pipeline.ports.changes import ChangeDetector

#: The reasons of runs: changes wait, or none came for so long that the source shall forget what is not needed.
CHANGES, AGE = "changes", "age"


@attrs.define
class _Group:
    """What is known of one group of the pipeline; its detector is opened on the first look. ``gap`` is what is wrong
    with its source's credentials.
    """

    spec: PipelineSpec
    behind_service: bool
    gap: Problem | None = None
    _mark: str | None = None
    _due: float = -math.inf
    _detector: ChangeDetector | None = None

    def look(self) -> bool:
        """Whether there is something to do; not asked of the source before it has rested. After an error the next look
        connects anew.
        """
        if self.gap is not None:
            refuse([self.gap])
        if time.monotonic() < self._due:
            return False
        if self._detector is None:
            self._detector = detector_of(self.spec)
        self._due = time.monotonic() + self._detector.rest_s
        look = self._detector.look_behind if self.behind_service else self._detector.look
        try:
            seen = look(tuple(self.spec.streams.values()), since=self._mark)
        except Exception:
            self.close()
            raise
        self._mark = seen.mark
        return seen.has_changes

    def under(self, spec: PipelineSpec, gap: Problem | None) -> _Group:
        """The same group as it is now, with what is known of it; still connected if it is what it was."""
        if (spec, gap) == (self.spec, self.gap):
            return self
        self.close()
        return _Group(spec, self.behind_service, gap, mark=self._mark, due=self._due)

    def close(self) -> None:
        """Disconnect; what was seen stays known."""
        detector, self._detector = self._detector, None
        if detector is not None:
            detector.close()


@attrs.define
class Watch:
    """Looks at what is ``watched``. The pipeline file is read on the first look, and anew when it has changed and after
    an error.
    """

    watched: Watched
    _groups: tuple[_Group, ...] = ()
    _read_at: int | None = None
    _told: dict[str, str] = attrs.field(factory=dict)
    _redactor: Redactor = attrs.field(factory=Redactor)
    _lock: threading.Lock = attrs.field(factory=threading.Lock)

    def look(self) -> str | None:
        """Why a run should start: ``CHANGES``, or what somebody has to mend, which the run then tells loudly, each
        reason once; None while nothing is to be done, or while no source can be reached. Never raises: Airflow starts
        a trigger that died anew at once, and so on without end.
        """
        with self._lock:
            found = [self._tried("", self._read)]
            found += [self._tried(group.spec.group, group.look) for group in self._groups]
        wrong = [reason for reason in found if reason not in (None, CHANGES)]
        return CHANGES if CHANGES in found else next(iter(wrong), None)

    def close(self) -> None:
        """Disconnect, after a look that is going on. Safe to call twice."""
        with self._lock:
            for group in self._groups:
                group.close()

    def _tried(self, name: str, look: Callable[[], bool]) -> str | None:
        """What a look gives, its errors as reasons; ``name`` is what they are remembered by."""
        try:
            has_changes = look()
        except PipelineError as error:
            self._read_at = None
            return None if error.retries else self._once(name, self._redactor.mask(error.what))
        except Exception as error:
            self._read_at = None
            structlog.get_logger("pipeline").error("look failed", error=describe_exception(error))
            return self._once(name, f"looking failed unexpectedly with {type(error).__name__}")
        self._told.pop(name, None)
        return CHANGES if has_changes else None

    def _once(self, name: str, reason: str) -> str | None:
        if self._told.get(name) == reason:
            return None
        self._told[name] = reason
        return reason

    def _read(self) -> bool:
        """Read the pipeline file if that was not done, or it has changed, or credentials may have; that alone is no
        reason to run.
        """
        path = Path(self.watched.path)
        changed_at = path.stat().st_mtime_ns if path.exists() else 0
        if self._read_at == changed_at:
            return False
        environment, secrets = AirflowEnvironment(), self._redactor.secrets
        settings = load_settings(config_dir=Path(self.watched.config_dir), environment=environment, secrets=secrets)
        file = load_pipeline(self.watched.path, settings, needs_source=False, environment=environment, secrets=secrets)
        known = {group.spec.group: group for group in self._groups}
        found = [(spec, file.source_gaps.get(spec.source.name)) for spec in file.groups]
        self._groups = tuple(
            known.pop(spec.group).under(spec, gap)
            if spec.group in known
            else _Group(spec, self.watched.behind_service, gap)
            for spec, gap in found
        )
        for gone in known.values():
            gone.close()
        self._read_at = changed_at
        return False


async def reasons(watched: Watched) -> AsyncGenerator[str, None]:
    """Every reason to start a run, as it comes up, without end. After ``wait_s`` seconds without one ``AGE`` is one."""
    since = time.monotonic()
    async with aclosing(_looks(watched)) as looks:
        async for found in looks:
            reason = AGE if found is None and time.monotonic() - since >= watched.wait_s else found
            if reason is not None:
                since = time.monotonic()
                yield reason


async def next_changes(watched: Watched, *, until: float) -> str:
    """``CHANGES`` when the source has some, else ``AGE`` at the time ``until`` (seconds since the epoch), also where
    somebody has something to mend first: the run then tells what.
    """
    async with aclosing(_looks(watched)) as looks:
        async for found in looks:
            if found == CHANGES:
                break
            if time.time() >= until:
                return AGE
    return CHANGES


async def _looks(watched: Watched) -> AsyncGenerator[str | None, None]:
    """What looks give, ``poll_s`` seconds apart, each in a thread."""
    watch = Watch(watched)
    try:
        while True:
            # In threads of Airflow's own: in others its connections and variables cannot be read.
            yield await sync_to_async(watch.look, thread_sensitive=False)()
            await asyncio.sleep(watched.poll_s)
    finally:
        await sync_to_async(watch.close, thread_sensitive=False)()
