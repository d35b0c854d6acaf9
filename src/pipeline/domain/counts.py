"""The book-keeping of promise P3: every change read ends somewhere that can be named."""

from __future__ import annotations

from collections.abc import Mapping

import attrs


@attrs.frozen
class StreamCounts:
    """What became of one stream's changes in one load.

    ``read_count`` = ``changelog_count`` + ``quarantined_count`` + ``covered_count`` + ``discarded_count``, and
    ``changelog_count`` = ``applied_count`` + ``compacted_count``. ``applied_count`` counts states applied to the
    staging table that stand for one change each; changes that a later change of the same key in the same load made
    unnecessary are ``compacted_count``. ``warned_count`` and ``misfit_count`` count rows, not exclusive of the others.
    """

    read_count: int = 0
    changelog_count: int = 0
    quarantined_count: int = 0
    covered_count: int = 0
    discarded_count: int = 0
    applied_count: int = 0
    compacted_count: int = 0
    warned_count: int = 0
    misfit_count: int = 0

    @property
    def is_balanced(self) -> bool:
        """Whether both equations hold."""
        ends = self.changelog_count + self.quarantined_count + self.covered_count + self.discarded_count
        return self.read_count == ends and self.changelog_count == self.applied_count + self.compacted_count

    @classmethod
    def covered(cls, row_count: int) -> StreamCounts:
        """Of rows that were read though the warehouse holds them already."""
        return cls(read_count=row_count, covered_count=row_count)

    def __add__(self, other: StreamCounts) -> StreamCounts:
        return StreamCounts(
            **{
                field.name: getattr(self, field.name) + getattr(other, field.name)
                for field in attrs.fields(StreamCounts)
            }
        )


def add_counts(total: dict[str, StreamCounts], more: Mapping[str, StreamCounts]) -> None:
    """Add ``more`` to ``total``, stream by stream."""
    for stream, counts in more.items():
        total[stream] = total.get(stream, StreamCounts()) + counts
