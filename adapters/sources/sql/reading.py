"""How a stream is read: its ``read`` mapping, checked and frozen.

What the words mean is told in the README; what is done by them is ``extractor``'s.
"""

from __future__ import annotations

from enum import Enum

import attrs

from adapters.sources.polling.declared import MAX_VANISHED, key_of, max_vanished_of, names_of
from pipeline.domain.errors import ConfigError
from pipeline.domain.stream import StreamSpec

_KNOWN = ("table", "query", "detect", "cursor", "overlap", "lag_s", "key", "deletes", "every_s", "max_vanished")


class Detect(Enum):
    """How changes are found: by a rising cursor, by fingerprints of all rows, or all at once when anything changed."""

    CURSOR = "cursor"
    HASH = "hash"
    REFRESH = "refresh"


@attrs.frozen
class Reading:
    """``relation`` is the table or view, unless there is a ``query``. ``overlap`` is in seconds for times, else in the
    cursor's own numbers; None: as suits its type. ``lag_s`` seconds are left to settle. ``key`` empty: the primary key,
    or none. ``finds_deletes`` by comparing keys at most every ``every_s`` seconds.
    """

    relation: str
    query: str = ""
    detect: Detect = Detect.HASH
    cursor: tuple[str, ...] = ()
    overlap: float | None = None
    lag_s: float = 0.0
    key: tuple[str, ...] = ()
    finds_deletes: bool = False
    every_s: float = 0.0
    max_vanished: float = MAX_VANISHED


def reading_of(spec: StreamSpec) -> Reading:
    """The ``read`` mapping of a stream; raises ``ConfigError`` naming what does not go together."""
    given = spec.read
    unknown = sorted(set(given) - set(_KNOWN))
    if unknown:
        raise _refused(spec, f"unknown key {', '.join(unknown)}", f"Known: {', '.join(_KNOWN)}.")
    cursor = names_of(given.get("cursor"))
    detect = Detect(str(given.get("detect") or ("cursor" if cursor else "hash")))
    finds_deletes = str(given.get("deletes", "none")) == "diff"
    if given.get("table") and given.get("query"):
        raise _refused(spec, "table stands beside query", "Write one of them.")
    if detect is Detect.CURSOR and not cursor:
        raise _refused(spec, "detect: cursor needs a cursor", "Name the column that grows with every change.")
    if detect is not Detect.CURSOR:
        _refuse_idle(spec, detect, ("cursor", "overlap", "lag_s", "deletes"))
    if "every_s" in given and not finds_deletes:
        raise _refused(spec, "every says how often keys are compared", "Add deletes: diff, or take it out.")
    return Reading(
        relation=str(given.get("table") or spec.relation),
        query=str(given.get("query") or "").strip().rstrip("; \n\t"),
        detect=detect,
        cursor=cursor,
        overlap=_number(spec, "overlap") if "overlap" in given else None,
        lag_s=_number(spec, "lag_s") if "lag_s" in given else 0.0,
        key=key_of(spec) or (),
        finds_deletes=finds_deletes,
        every_s=_number(spec, "every_s") if "every_s" in given else 0.0,
        max_vanished=max_vanished_of(spec),
    )


def _refuse_idle(spec: StreamSpec, detect: Detect, keys: tuple[str, ...]) -> None:
    """Refuse what would have no effect, since whoever wrote it expects one."""
    idle = [key.removesuffix("_s") for key in keys if key in spec.read and spec.read[key] != "none"]
    if idle:
        raise _refused(
            spec,
            f"{', '.join(idle)} has no effect with detect: {detect.value}",
            "Take it out, or write detect: cursor.",
        )


def _number(spec: StreamSpec, key: str) -> float:
    try:
        number = float(str(spec.read[key]))
    except ValueError:
        number = -1.0
    if not 0 <= number < float("inf"):
        raise _refused(
            spec, f"{key.removesuffix('_s')} is no number of zero or more", "Write, for example, 5m or 1000."
        )
    return number


def _refused(spec: StreamSpec, what: str, hint: str) -> ConfigError:
    return ConfigError(what, where=f"streams.{spec.name}.read", hint=hint)
