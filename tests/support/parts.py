"""Divides the tests among runs that each take a part of the time and together leave nothing out.

``--part 2/3`` runs the second of three parts. Every part has the unit tests, all other quick tests, and of each that is
asked of several systems, values or moments some of its cases. The slow tests of a file are in one part.
"""

from __future__ import annotations

import re
import zlib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol, TypeVar

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


class Mark(Protocol):
    """What is looked at of a mark."""

    kwargs: Mapping[str, Any]


class Test(Protocol):
    """What is looked at of a test."""

    nodeid: str

    def get_closest_marker(self, name: str) -> Mark | None:
        """Its mark of that name, or None."""


T = TypeVar("T", bound=Test)

#: How long the slow tests of a file take where their mark does not say it.
_SECONDS = 30


def divide(tests: Sequence[T], part: Part) -> tuple[list[T], list[T]]:
    """The tests of a part, and the others; in the order in which they came."""
    cases: dict[str, list[T]] = defaultdict(list)
    for test in tests:
        cases[test.nodeid.partition("[")[0]].append(test)
    part_of = _shared_out(tests, part.of)
    here = set()
    for name, alike in cases.items():
        if alike[0].nodeid.startswith("tests/unit/"):
            some = alike
        elif _slow(alike[0]):
            some = alike if part_of[_file(alike[0])] == part.number else []
        else:
            turn = zlib.crc32(name.encode())  # so that not every test's first case is in the first part
            mine = [test for place, test in enumerate(alike) if (turn + place) % part.of == part.number]
            some = mine or [alike[part.number % len(alike)]]
        here |= {test.nodeid for test in some}
    return [test for test in tests if test.nodeid in here], [test for test in tests if test.nodeid not in here]


def _shared_out(tests: Iterable[Test], parts: int) -> dict[str, int]:
    """The part of each file with slow tests: the longest first, each to the part that has the least."""
    seconds = {_file(test): mark.kwargs.get("seconds", _SECONDS) for test in tests if (mark := _slow(test))}
    loads = [0] * parts
    part_of = {}
    for file in sorted(seconds, key=lambda file: (-seconds[file], file)):
        part_of[file] = loads.index(min(loads))
        loads[part_of[file]] += seconds[file]
    return part_of


def slow_first(tests: list[T]) -> list[T]:
    """Files with slow tests before the others, so that no worker is busy with one when the others have ended."""
    slow = {_file(test) for test in tests if _slow(test)}
    return sorted(tests, key=lambda test: _file(test) not in slow)


def _file(test: Test) -> str:
    return test.nodeid.partition("::")[0]


def _slow(test: Test) -> Mark | None:
    return test.get_closest_marker("slow")
