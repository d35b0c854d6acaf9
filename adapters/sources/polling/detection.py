"""The port's ``ChangeDetector`` over an extractor's marks."""

from __future__ import annotations

import json
from collections.abc import Collection

from adapters.sources.polling.extractor import Extractor
from pipeline.domain.stream import StreamSpec
from pipeline.ports.changes import Look


class PollDetector:
    """Compares the marks of streams. A stream without one may always have changed: looking costs as much as a run."""

    def __init__(self, extractor: Extractor) -> None:
        self._extractor = extractor

    @property
    def rest_s(self) -> float:
        """As long as a long run rests between two looks."""
        return self._extractor.poll_s

    def look(self, streams: Collection[StreamSpec], *, since: str | None = None) -> Look:
        """Whether any mark differs from the last look's."""
        marks = {spec.name: self._extractor.mark(spec) for spec in streams}
        known = json.loads(since) if since else {}
        has_changes = any(mark is None or known.get(name) != mark for name, mark in marks.items())
        return Look(has_changes, json.dumps(marks, sort_keys=True))

    def look_behind(self, streams: Collection[StreamSpec], *, since: str | None = None) -> Look:
        """Nobody confirms anything to such a source, so that what was loaded cannot be seen from here."""
        return Look(False, since or "")

    def close(self) -> None:
        """Close the extractor's connections."""
        self._extractor.close()
