"""Which streams of a pipeline file form a group: those of a source that keeps a log together, others each alone."""

from __future__ import annotations

from collections.abc import Mapping

from entrypoints.registry import SOURCES
from pipeline.domain.stream import StreamSpec, SystemSpec


def grouped(
    sources: Mapping[str, SystemSpec], streams: Mapping[str, StreamSpec]
) -> dict[str, tuple[SystemSpec, list[StreamSpec]]]:
    """The groups by name: a source that keeps a log gives one, with its own name, another one for each stream."""
    groups: dict[str, tuple[SystemSpec, list[StreamSpec]]] = {}
    for spec in streams.values():
        source = sources.get(spec.source)
        if source is not None:
            name = source.name if has_log(source) else spec.table
            groups.setdefault(name, (source, []))[1].append(spec)
    return groups


def has_log(source: SystemSpec) -> bool:
    """Whether sources of this kind keep a log; of an unknown kind nobody can say, and the file is refused anyhow."""
    kind = SOURCES.get(source.kind)
    return kind is None or kind.has_log
