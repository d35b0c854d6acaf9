"""The port to whoever tells, cheaply and often, whether a source has something to load.

What is loaded is the source's (``Source``); how often to look is the caller's.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Protocol

import attrs

from pipeline.domain.stream import StreamSpec


@attrs.frozen
class Look:
    """What one look saw: whether a run would have something to do; ``mark`` goes into the next look. ``is_read`` tells
    that somebody is reading the log already, so that nothing else could be seen.
    """

    has_changes: bool
    mark: str
    is_read: bool = False


class ChangeDetector(Protocol):
    """Looks at a source without a trace: what the source keeps for the pipeline stays as it is, no warehouse is asked,
    and where nothing happened to the streams since ``mark`` the log is not read either.

    All methods may raise ``SourceUnreachable`` (retry helps) and ``SourceRejected`` (someone has to change something).
    """

    @property
    def rest_s(self) -> float:
        """How many seconds to leave the source alone between two looks, 0.0 where a look costs it next to nothing."""
        ...

    def look(self, streams: Collection[StreamSpec], *, since: str | None = None) -> Look:
        """Whether changes of ``streams`` wait that no look before has told of; ``since`` is the mark of the last look,
        None for the first, which tells of everything that is not loaded yet.

        A committed change is told of within some ten seconds, by one look or a later one. Where the source can see
        that what was told of is not loaded yet, nothing more is told until it is: one run loads all of it. What was
        rolled back, changes of other tables and what the pipeline itself writes into the log are no changes. A log
        that is not kept, that is lost, or that cannot be looked through in reasonable time counts as one: only a run
        can mend it.
        """
        ...

    def look_behind(self, streams: Collection[StreamSpec], *, since: str | None = None) -> Look:
        """Whether whoever reads the log has loaded changes of ``streams`` that no look before has told of, and
        confirmed so (P2). Marks are of this method alone. What was rolled back may count as a change.
        """
        ...

    def close(self) -> None:
        """Close all connections. Safe to call twice."""
        ...
