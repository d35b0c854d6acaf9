"""Sets of line numbers as runs: what a manifest remembers of a file's lines, so that surplus ones can be named."""

from __future__ import annotations

from collections.abc import Iterator

import attrs
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

#: More runs than this are remembered as one: it names lines that were none, whose deletion does nothing.
_MOST_RUNS = 500


def _run_tuple(runs: tuple[tuple[int, int], ...] | list[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    """Sorted, disjoint, not touching."""
    joined: list[tuple[int, int]] = []
    for first, last in sorted(runs):
        if joined and first <= joined[-1][1] + 1:
            joined[-1] = (joined[-1][0], max(joined[-1][1], last))
        else:
            joined.append((first, last))
    if len(joined) > _MOST_RUNS:
        return ((joined[0][0], joined[-1][1]),)
    return tuple(joined)


def places(path: str, numbers: np.ndarray) -> pa.StringArray:
    """Lines of a file as people are told of them."""
    return pc.binary_join_element_wise(f"{path}, line", pa.array(numbers).cast(pa.string()), " ")


@attrs.frozen
class Lines:
    """A set of line numbers; each run has its first and its last number."""

    runs: tuple[tuple[int, int], ...] = attrs.field(default=(), converter=_run_tuple)

    @classmethod
    def of(cls, numbers: np.ndarray) -> Lines:
        """The set of these numbers, which rise."""
        if not len(numbers):
            return cls()
        if numbers[-1] - numbers[0] == len(numbers) - 1:
            return cls(((int(numbers[0]), int(numbers[-1])),))
        cuts = np.flatnonzero(np.diff(numbers) != 1)
        firsts = numbers[np.concatenate(([0], cuts + 1))]
        lasts = numbers[np.concatenate((cuts, [len(numbers) - 1]))]
        return cls(tuple(zip(firsts.tolist(), lasts.tolist(), strict=True)))

    @property
    def count(self) -> int:
        """How many numbers there are."""
        return sum(last - first + 1 for first, last in self.runs)

    @property
    def highest(self) -> int:
        """The highest number, 0 if there is none."""
        return self.runs[-1][1] if self.runs else 0

    def __or__(self, other: Lines) -> Lines:
        return Lines((*self.runs, *other.runs))

    def minus(self, other: Lines) -> Lines:
        """The numbers that ``other`` has not."""
        left = []
        for first, last in self.runs:
            for start, end in other.runs:
                if end < first or start > last:
                    continue
                if start > first:
                    left.append((first, start - 1))
                first = end + 1
            if first <= last:
                left.append((first, last))
        return Lines(tuple(left))

    def numbers(self, *, at_most: int) -> Iterator[np.ndarray]:
        """All numbers in order, in arrays of no more than ``at_most``."""
        for first, last in self.runs:
            for start in range(first, last + 1, at_most):
                yield np.arange(start, min(start + at_most, last + 1), dtype=np.int64)
