"""Looks at a pipeline's source again and again, outside of any task: what triggers and the sensor share.

What Airflow does for a reason to run is ``triggers``' and ``sensor``'s.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import attrs
from asgiref.sync import sync_to_async

from entrypoints.airflow.credentials import AirflowEnvironment
from entrypoints.container import detector_of
from entrypoints.pipeline_file import load_pipeline
from entrypoints.redaction import Redactor
from entrypoints.settings import load_settings
from pipeline.domain.errors import PipelineError
from pipeline.domain.stream import PipelineSpec
from pipeline.ports.changes import ChangeDetector

#: The reasons of runs: changes wait, or none came for so long that the source shall forget what is not needed.
CHANGES, AGE = "changes", "age"


@attrs.define
class Watch:
    """The source of the pipeline file ``path``. Opened on the first look, and anew after an error. ``behind_service``:
    of interest is what a service has loaded, not what waits to be loaded.
    """

    path: Path
    config_dir: Path
    behind_service: bool = False
    _spec: PipelineSpec | None = None
    _detector: ChangeDetector | None = None
    _mark: str | None = None
    _told: str | None = None
    _redactor: Redactor = attrs.field(factory=Redactor)

    def look(self) -> str | None:
        """Why a run should start: ``CHANGES``, or what somebody has to mend, which the run then tells loudly, each
        reason once; None while nothing is to be done, or while the source cannot be reached.
        """
        try:
            seen = self._look()
        except PipelineError as error:
            self.close()
            reason = self._redactor.mask(error.what)
            if error.retries or reason == self._told:
                return None
            self._told = reason
            return reason
        return CHANGES if seen else None

    def close(self) -> None:
        """Disconnect. Safe to call twice."""
        detector, self._detector, self._spec = self._detector, None, None
        if detector is not None:
            detector.close()

    def _look(self) -> bool:
        if self._spec is None or self._detector is None:
            environment, secrets = AirflowEnvironment(), self._redactor.secrets
            settings = load_settings(config_dir=self.config_dir, environment=environment, secrets=secrets)
            self._spec = load_pipeline(str(self.path), settings, environment=environment, secrets=secrets).spec
            self._detector = detector_of(self._spec)
        look = self._detector.look_behind if self.behind_service else self._detector.look
        seen = look(tuple(self._spec.streams.values()), since=self._mark)
        self._mark = seen.mark
        return seen.has_changes


async def reasons(
    path: str, config_dir: str, poll_s: float, wait_s: float, *, behind_service: bool = False
) -> AsyncIterator[str]:
    """Every reason to start a run, as it comes up; looks happen in threads, ``poll_s`` seconds apart. After ``wait_s``
    seconds without one ``AGE`` is one.
    """
    watch = Watch(Path(path), Path(config_dir), behind_service=behind_service)
    # Airflow's own threads: in others its connections and variables cannot be read.
    look = sync_to_async(watch.look, thread_sensitive=False)
    since = time.monotonic()
    try:
        while True:
            reason = await look()
            if reason is None and time.monotonic() - since >= wait_s:
                reason = AGE
            if reason is not None:
                since = time.monotonic()
                yield reason
            await asyncio.sleep(poll_s)
    finally:
        watch.close()
