"""Lists what a source has, for writing a pipeline file."""

from __future__ import annotations

from pipeline.ports.source import Relation, Source


def discover(source: Source) -> tuple[Relation, ...]:
    """Every relation that the source's role can see, capturable or not, in order of name."""
    return source.discover()
