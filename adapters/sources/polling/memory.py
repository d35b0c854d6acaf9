"""What is known of a stream while it is read: its rows by fingerprint, and what its extractor and the looks remember.

Keeping it in the warehouse is the core's affair; what a look makes of it is ``look``'s.
"""

from __future__ import annotations

from collections.abc import Mapping

import attrs
import pyarrow as pa
import pyarrow.compute as pc

from adapters.sources.polling.continuity import OURS
from pipeline.domain.bookmarks import NO_BOOKMARKS, bookmarks, plain_bookmarks
from pipeline.domain.detection import ROW, KnownRows


@attrs.define(eq=False)
class StreamMemory:
    """The rows of one stream, and its other bookmarks."""

    rows: KnownRows
    others: dict[str, str]

    @classmethod
    def of(cls, kept: pa.Table) -> StreamMemory:
        """What the stream's bookmarks tell."""
        ours = pc.starts_with(kept["name"], pattern=ROW)
        return cls(KnownRows(kept.filter(ours)), plain_bookmarks(kept.filter(pc.invert(ours))))

    @property
    def extractors(self) -> dict[str, str]:
        """The bookmarks that an extractor is given."""
        return {name: value for name, value in self.others.items() if not name.startswith(OURS)}

    def note(self, changes: Mapping[str, str | None]) -> pa.Table:
        """Take note of other bookmarks; those that are new, as a table."""
        told = {name: value for name, value in changes.items() if self.others.get(name) != value}
        for name, value in told.items():
            if value is None:
                self.others.pop(name, None)
            else:
                self.others[name] = value
        return bookmarks(told) if told else NO_BOOKMARKS

    def table(self) -> pa.Table:
        """All of it as bookmarks."""
        return pa.concat_tables([self.rows.bookmarks(), bookmarks(self.others)])
