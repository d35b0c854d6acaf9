"""Divides the tests among runs that each take a part of the time and together leave nothing out.

``--part 2/3`` runs the second of three parts. Every part has the unit tests, all other quick tests, and of each that is
asked of several systems, values or moments some of its cases. What is slow by itself is in one part.
"""

from __future__ import annotations

import re
import zlib
from collections import defaultdict
from collections.abc import Sequence
from typing import Protocol, TypeVar

import attrs


@attrs.frozen
class Part:
    """One of so many parts, counted from 0."""

    number: int
    of: int

    @classmethod
    def parse(cls, text: str) -> Part:
        """Of ``2/3``; ``ValueError`` says what is wrong with anything else."""
        match = re.fullmatch(r"(\d+)/(\d+)", text)
        if match is None or not 1 <= int(match[1]) <= int(match[2]):
            raise ValueError(f"--part {text}: give a number and how many parts there are, for example 2/3")
        return cls(int(match[1]) - 1, int(match[2]))

    def has(self, turn: int) -> bool:
        """Whether the one whose turn it is belongs to this part."""
        return turn % self.of == self.number


class Test(Protocol):
    """What is looked at of a test."""

    nodeid: str

    def get_closest_marker(self, name: str) -> object | None:
        """Its mark of that name, or None."""


T = TypeVar("T", bound=Test)


def divide(tests: Sequence[T], part: Part) -> tuple[list[T], list[T]]:
    """The tests of a part, and the others; in the order in which they came."""
    cases: dict[str, list[T]] = defaultdict(list)
    for test in tests:
        cases[test.nodeid.partition("[")[0]].append(test)
    slow = sorted({_file(test) for test in tests if _is_slow(test)})
    here = set()
    for name, alike in cases.items():
        if _is_slow(alike[0]):
            turn = slow.index(_file(alike[0]))
            here |= {test.nodeid for place, test in enumerate(alike) if part.has(turn + place)}
        elif alike[0].nodeid.startswith("tests/unit/"):
            here |= {test.nodeid for test in alike}
        else:
            turn = zlib.crc32(name.encode())  # so that not every test's first case is in the first part
            some = [test for place, test in enumerate(alike) if part.has(turn + place)]
            here |= {test.nodeid for test in some or alike[part.number % len(alike) :][:1]}
    return [test for test in tests if test.nodeid in here], [test for test in tests if test.nodeid not in here]


def slow_first(tests: list[T]) -> list[T]:
    """Files with slow tests before the others, so that no worker is busy with one when the others have ended."""
    slow = {_file(test) for test in tests if _is_slow(test)}
    return sorted(tests, key=lambda test: _file(test) not in slow)


def _file(test: Test) -> str:
    return test.nodeid.partition("::")[0]


def _is_slow(test: Test) -> bool:
    return test.get_closest_marker("slow") is not None
