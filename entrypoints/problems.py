"""Problems of configuration files, collected so that a person can mend all of them at once.

What counts as a problem is decided by who reads the file.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence

import attrs

from pipeline.domain.errors import ConfigError


@attrs.frozen
class Problem:
    """One thing that is wrong: ``key`` is the path inside the file (``streams.orders.mode``)."""

    file: str
    key: str
    what: str
    line: int | None = None
    hint: str = ""

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        key = f" {self.key}:" if self.key else ""
        hint = f" {self.hint}" if self.hint else ""
        return f"{place}:{key} {self.what}.{hint}"


def refuse(problems: Sequence[Problem]) -> None:
    """Raise ``ConfigError`` listing all of ``problems``, if there are any."""
    if not problems:
        return
    ordered = sorted(problems, key=lambda problem: (problem.file, problem.line or 0, problem.key))
    lines = "\n".join(f"  {problem}" for problem in ordered)
    noun = "problem" if len(problems) == 1 else "problems"
    raise ConfigError(
        f"{len(problems)} configuration {noun}\n{lines}\n",
        hint="Mend the keys named above and run the same command again.",
        problems=[attrs.asdict(problem) for problem in ordered],
    )


def nearest(word: str, allowed: Iterable[str]) -> str:
    """``Did you mean x?`` if one of ``allowed`` is close to ``word``, else empty."""
    found = difflib.get_close_matches(word, list(allowed), n=1, cutoff=0.6)
    return f"Did you mean {found[0]}?" if found else ""
