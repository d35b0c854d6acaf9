"""Sets of line numbers, against Python's own sets."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from adapters.sources.files.lines import Lines

SETS = st.sets(st.integers(min_value=0, max_value=60), max_size=40)


def _lines(numbers: set[int]) -> Lines:
    return Lines.of(np.array(sorted(numbers), np.int64))


def _set(lines: Lines) -> set[int]:
    return {int(number) for numbers in lines.numbers(at_most=7) for number in numbers}


@given(SETS, SETS)
def test_they_behave_as_sets(left: set[int], right: set[int]) -> None:
    ours, theirs = _lines(left), _lines(right)
    assert _set(ours) == left
    assert _set(ours | theirs) == left | right
    assert _set(ours.minus(theirs)) == left - right
    assert (ours.count, ours.highest) == (len(left), max(left, default=0))


def test_runs_are_few_and_a_ragged_set_is_remembered_as_its_whole_range() -> None:
    assert _lines({2, 3, 4, 7, 9, 10}).runs == ((2, 4), (7, 7), (9, 10))
    assert Lines.of(np.arange(0, 4_000, 2)).runs == ((0, 3_998),)


def test_numbers_come_in_arrays_of_bounded_size() -> None:
    lines = Lines(((1, 10), (20, 21)))
    assert [numbers.tolist() for numbers in lines.numbers(at_most=4)] == [[1, 2, 3, 4], [5, 6, 7, 8], [9, 10], [20, 21]]
