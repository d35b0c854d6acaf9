"""Which streams of a pipeline file form a group: those of a source that keeps a log together, others each alone.

Names and kinds are all it takes, so that DAGs are made without a driver.
"""

from __future__ import annotations

from collections.abc import Mapping

from entrypoints.registry import SOURCES
from pipeline.domain.naming import table_name


def grouped(kinds: Mapping[str, str], streams: Mapping[str, str]) -> dict[str, tuple[str, tuple[str, ...]]]:
    """The groups by name, each its source and its streams, in order; ``kinds`` are sources', ``streams`` name theirs.

    A source that keeps a log gives one group, with its own name, another one for each stream, named like its table.
    """
    groups: dict[str, tuple[str, tuple[str, ...]]] = {}
    for stream, source in streams.items():
        if source in kinds:
            name = source if has_log(kinds[source]) else table_name(source, stream)
            _, others = groups.get(name, (source, ()))
            groups[name] = source, (*others, stream)
    return groups


def has_log(kind: str) -> bool:
    """Whether sources of this kind keep a log; of an unknown kind nobody can say, and the file is refused anyhow."""
    return kind not in SOURCES or SOURCES[kind].has_log
