"""What is wrong with a pipeline file, collected while it is read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from entrypoints.problems import Problem
from entrypoints.references import has_reference
from entrypoints.schema_check import faults
from entrypoints.yaml_file import YamlFile


class Findings:
    """Problems of one file, and gaps: references in the sections of sources that name nothing, or nothing that fits
    there, each with the source's name.
    """

    def __init__(self, file: YamlFile) -> None:
        self.file = file
        self.problems: list[Problem] = list(file.problems)
        self.gaps: list[tuple[str, Problem]] = []

    def add(self, key: str, what: str, hint: str = "") -> None:
        """Note a problem once."""
        problem = self.file.problem(key, what, hint=hint)
        if problem not in self.problems:
            self.problems.append(problem)

    def add_gap(self, source: str, key: str, what: str, hint: str = "") -> None:
        """Note a gap."""
        self.gaps.append((source, self.file.problem(key, what, hint=hint)))

    @property
    def keys(self) -> frozenset[str]:
        """The keys that have a problem so far."""
        return frozenset(problem.key for problem in self.problems)

    def check(
        self,
        prefix: tuple[str, ...],
        content: object,
        *,
        against: Mapping[str, Any],
        written: object = None,
        source: str = "",
    ) -> bool:
        """Note what the schema does not allow; whether there was anything. ``written`` is the content before it was
        resolved: what a reference of a ``source`` stands for is that source's gap.
        """
        found = list(faults(content, dict(against)))
        for path, what, hint in found:
            key = ".".join((*prefix, *path))
            if not (source and _is_referred_to(written, path)):
                self.add(key, what, hint)
            elif key not in {gap.key for _, gap in self.gaps}:
                self.add_gap(source, key, what, hint)
        return bool(found)


def mapping(content: object) -> dict[str, Any]:
    """What was written, if it is a mapping; else the schema has said so, and nothing is in it."""
    return content if isinstance(content, dict) else {}


def _is_referred_to(written: object, path: tuple[str, ...]) -> bool:
    """Whether the value at a path is not written out."""
    for part in path:
        written = written[int(part)] if isinstance(written, list) else mapping(written).get(part)
    return isinstance(written, str) and has_reference(written)
