"""When a pipeline's DAG runs, as a pipeline file says it, checked without Airflow.

Turning it into what Airflow understands is ``airflow.scheduling``'s.
"""

from __future__ import annotations

import re
from enum import Enum
from typing import assert_never

import attrs

from entrypoints.units import seconds

PRESETS = ("@once", "@hourly", "@daily", "@weekly", "@monthly", "@quarterly", "@yearly")

_WRONG = "not a schedule"
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
#: The lowest and highest number of each field of a cron expression, and the names that stand for numbers.
_FIELDS: tuple[tuple[int, int, tuple[str, ...]], ...] = (
    (0, 59, ()),
    (0, 23, ()),
    (1, 31, ()),
    (1, 12, _MONTHS),
    (0, 7, _DAYS),
)
_PART = re.compile(r"(?:\*|(\w+)(?:-(\w+))?)(?:/([1-9]\d*))?")


class ScheduleKind(Enum):
    """What starts a run: nothing, a clock, the end of the run before, changes at the source, or other assets."""

    MANUAL = "manual"
    CRON = "cron"
    EVERY = "every"
    CONTINUOUS = "@continuous"
    CHANGES = "@changes"
    ASSETS = "assets"


@attrs.frozen
class Schedule:
    """``cron`` is an expression or preset, ``every_s`` seconds, ``assets`` names; each set for its own kind only."""

    kind: ScheduleKind = ScheduleKind.MANUAL
    cron: str = ""
    every_s: float = 0.0
    assets: tuple[str, ...] = ()

    @property
    def text(self) -> str | None:
        """The schedule as a person would say it, None if there is none."""
        match self.kind:
            case ScheduleKind.MANUAL:
                return None
            case ScheduleKind.CRON:
                return self.cron
            case ScheduleKind.EVERY:
                return f"every {self.every_s:g} s"
            case ScheduleKind.ASSETS:
                return f"after {', '.join(self.assets)}"
            case ScheduleKind.CONTINUOUS | ScheduleKind.CHANGES:
                return str(self.kind.value)
            case _:
                assert_never(self.kind)


def parse_schedule(value: object) -> Schedule:
    """The schedule that a file's ``schedule`` key means (None: none). Raises ``ValueError``."""
    if value is None:
        return Schedule()
    if isinstance(value, dict) and len(value) == 1:
        return _mapped(*next(iter(value.items())))
    if not isinstance(value, str):
        raise ValueError(_WRONG)
    if value in {ScheduleKind.CONTINUOUS.value, ScheduleKind.CHANGES.value}:
        return Schedule(ScheduleKind(value))
    if value in PRESETS or _is_cron(value):
        return Schedule(ScheduleKind.CRON, cron=value)
    raise ValueError(_WRONG)


def _mapped(key: object, value: object) -> Schedule:
    if key == "every" and isinstance(value, str | int | float) and not isinstance(value, bool) and seconds(value) > 0:
        return Schedule(ScheduleKind.EVERY, every_s=seconds(value))
    if key == "assets" and isinstance(value, list) and value and all(isinstance(name, str) and name for name in value):
        return Schedule(ScheduleKind.ASSETS, assets=tuple(value))
    raise ValueError(_WRONG)


def _is_cron(text: str) -> bool:
    fields = text.split()
    return len(fields) == len(_FIELDS) and all(
        _fits(part, *limits) for field, limits in zip(fields, _FIELDS, strict=True) for part in field.split(",")
    )


def _fits(part: str, lowest: int, highest: int, names: tuple[str, ...]) -> bool:
    match = _PART.fullmatch(part.lower())
    if match is None:
        return False
    numbers = [_number(word, lowest, names) for word in match.group(1, 2) if word is not None]
    return all(lowest <= number <= highest for number in numbers) and numbers == sorted(numbers)


def _number(word: str, lowest: int, names: tuple[str, ...]) -> int:
    """The number of a field, -1 if it is none."""
    if word in names:
        return names.index(word) + lowest
    return int(word) if word.isascii() and word.isdigit() else -1
