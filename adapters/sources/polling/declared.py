"""What the ``read`` of any stream without a log may say: its key, and how much of it may be gone at once.

All else that it says is the adapter's to read.
"""

from __future__ import annotations

from pipeline.domain.errors import ConfigError
from pipeline.domain.stream import StreamSpec

#: The share of what is known that may be gone at once, unless a stream says otherwise.
MAX_VANISHED = 0.5


def key_of(stream: StreamSpec) -> tuple[str, ...] | None:
    """The columns of the key, None if nothing is said of it."""
    given = stream.read.get("key")
    return None if given is None else names_of(given)


def names_of(given: object) -> tuple[str, ...]:
    """One name or a list of them; none for None."""
    if given is None:
        return ()
    return tuple(str(name) for name in given) if isinstance(given, list | tuple) else (str(given),)


def max_vanished_of(stream: StreamSpec) -> float:
    """The share of what is known that may be gone at once, from 0 to 1; raises ``ConfigError``."""
    given = stream.read.get("max_vanished", MAX_VANISHED)
    try:
        share = float(str(given))
    except ValueError:
        share = -1.0
    if not 0 <= share <= 1:
        raise ConfigError(
            "max_vanished is no share between 0 and 1",
            where=f"streams.{stream.name}.read",
            hint="Write the share of what is known that may be gone at once: 0.5.",
        )
    return share
