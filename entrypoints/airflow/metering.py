"""What a load moved, gathered from its events, for the events of assets.

Which assets there are is ``scheduling``'s.
"""

from __future__ import annotations

import attrs

from pipeline.domain.events import BatchApplied, CopyFinished, Event


@attrs.define
class LoadMeter:
    """Metrics of one run: rows by stream, copied ones too, and how far behind the source its last load was."""

    rows: dict[str, int] = attrs.field(factory=dict)
    quarantined: dict[str, int] = attrs.field(factory=dict)
    lag_s: float | None = None

    def record(self, event: Event) -> None:
        """Count what ``event`` tells of rows."""
        match event:
            case CopyFinished():
                self._add(event.stream, event.row_count - event.quarantined_count, event.quarantined_count)
            case BatchApplied():
                for stream, counts in event.counts.items():
                    self._add(stream, counts.changelog_count, counts.quarantined_count)
                if event.last_commit_at is not None:
                    self.lag_s = round(max((event.at - event.last_commit_at).total_seconds(), 0.0), 3)
            case _:
                pass  # the others move no rows

    def _add(self, stream: str, loaded: int, quarantined: int) -> None:
        for counts, number in ((self.rows, loaded), (self.quarantined, quarantined)):
            if number:
                counts[stream] = counts.get(stream, 0) + number
