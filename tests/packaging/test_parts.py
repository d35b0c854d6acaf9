"""The parts in which CI runs the tests leave nothing out."""

from __future__ import annotations

import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs
import pytest
import yaml

from tests.support.parts import Part, divide, slow_first

ROOT = Path(__file__).parents[2]


@attrs.frozen
class Mark:
    """A mark with what it says."""

    kwargs: Mapping[str, Any]


@attrs.frozen
class Asked:
    """A test, as pytest would tell of it; a slow one with the seconds that its file takes."""

    nodeid: str
    seconds: int = 0

    def get_closest_marker(self, name: str) -> Mark | None:
        return Mark({"seconds": self.seconds}) if name == "slow" and self.seconds else None


def some_tests(seed: int) -> list[Asked]:
    """Tests of one or several cases, in files of which some are slow."""
    drawn = random.Random(seed)
    tests = []
    for file in range(8):
        seconds, folder = drawn.choice([0, 0, 10, 200]), drawn.choice(["unit", "integration", "acceptance"])
        for name in range(drawn.randint(1, 6)):
            told = f"tests/{folder}/test_{file}.py::test_{name}"
            cases = drawn.choice([1, 1, 2, 3, 7])
            tests += [Asked(f"{told}[{case}]" if cases > 1 else told, seconds) for case in range(cases)]
    return tests


def of_part(tests: list[Asked], number: int, of: int) -> list[Asked]:
    here, others = divide(tests, Part(number, of))
    assert sorted([*here, *others], key=tests.index) == tests
    return here


def functions(tests: list[Asked]) -> set[str]:
    return {test.nodeid.partition("[")[0] for test in tests}


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("of", [1, 2, 3, 4])
def test_the_parts_together_are_all_tests(seed: int, of: int) -> None:
    tests = some_tests(seed)
    parts = [of_part(tests, number, of) for number in range(of)]
    assert {test for part in parts for test in part} == set(tests)
    slow = [test for part in parts for test in part if test.seconds and "/unit/" not in test.nodeid]
    assert len(slow) == len(set(slow))


@pytest.mark.parametrize("seed", range(20))
def test_every_part_has_the_unit_tests_and_asks_each_test_that_is_quick(seed: int) -> None:
    quick = [test for test in some_tests(seed) if not test.seconds]
    for number in range(3):
        here = of_part(some_tests(seed), number, 3)
        assert {test for test in quick if "/unit/" in test.nodeid} <= set(here)
        assert functions(quick) <= functions(here)


def test_of_many_cases_a_part_has_its_share() -> None:
    cases = [Asked(f"tests/integration/test_it.py::test_it[{case}]") for case in range(30)]
    assert [len(of_part(cases, number, 3)) for number in range(3)] == [10, 10, 10]


def test_files_of_slow_tests_are_shared_out_by_how_long_they_take() -> None:
    tests = [Asked(f"tests/integration/test_{seconds}.py::test_it", seconds) for seconds in (10, 20, 30, 40, 90)]
    assert [sum(test.seconds for test in of_part(tests, number, 2)) for number in range(2)] == [100, 90]


def test_files_with_slow_tests_come_first() -> None:
    quick, mixed, slow = (f"tests/integration/test_{name}.py::test_it" for name in ("a", "b", "c"))
    tests = [Asked(quick), Asked(mixed + "[1]"), Asked(mixed + "[2]", 10), Asked(slow, 10)]
    assert [test.nodeid for test in slow_first(tests)] == [mixed + "[1]", mixed + "[2]", slow, quick]


@pytest.mark.parametrize("text", ["", "2", "0/3", "4/3", "1/0", "-1/3", "a/b", "1/3/5"])
def test_what_is_no_part_is_refused_and_an_example_given(text: str) -> None:
    with pytest.raises(ValueError, match="for example 2/3"):
        Part.parse(text)


def test_the_workflow_runs_all_parts() -> None:
    jobs = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text())["jobs"]
    parts = [Part.parse(text) for text in jobs["test"]["strategy"]["matrix"]["part"]]
    assert parts == [Part(number, len(parts)) for number in range(len(parts))]
