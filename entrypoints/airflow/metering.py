"""What a load moved, gathered from its events, for the events of assets.

Which assets there are is ``scheduling``'s.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import attrs

from pipeline.application.session import Session
from pipeline.domain.counts import StreamCounts
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
                self.rows.setdefault(event.stream, 0)  # a copy of no rows has emptied the table
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


def loads_of(sessions: Sequence[Session]) -> dict[str, int]:
    """The number of each group's latest load; a group that has none is left out."""
    found = {session.group: session.warehouse.checkpoint(session.group) for session in sessions}
    return {group: checkpoint.load for group, checkpoint in found.items() if checkpoint is not None}


def rows_since(sessions: Sequence[Session], loads: Mapping[str, int]) -> dict[str, int]:
    """Rows by stream of all loads after those numbers, by group (-1 where it is left out), by the warehouse's own
    books.
    """
    rows: dict[str, int] = {}
    now = loads_of(sessions)
    for session in sessions:
        since, latest = loads.get(session.group, -1), now.get(session.group, -1)
        if latest <= since:
            continue
        changed = session.warehouse.changed_since(session.group, since)
        for entry in session.warehouse.audit(session.group, limit=latest - since):
            for stream, number in _loaded(entry, since=since):
                if stream in changed:
                    rows[stream] = rows.get(stream, 0) + number
    return rows


def _loaded(entry: Mapping[str, object], *, since: int) -> Iterator[tuple[str, int]]:
    """Streams and their rows in an entry of the audit, if it is a load after ``since``."""
    load, counts = entry["load"], entry["counts"]
    if isinstance(load, int) and load > since and isinstance(counts, Mapping):
        for stream, counted in counts.items():
            if isinstance(counted, StreamCounts):
                yield stream, counted.changelog_count
