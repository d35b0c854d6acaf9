"""PostgreSQL 14 to 18 as a source, read through a logical replication slot.

The drivers are imported when a source is built.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from adapters.sources.postgres.detection import PostgresDetector
    from adapters.sources.postgres.source import PostgresSource


def build(name: str, options: Mapping[str, object], *, pipeline: str) -> PostgresSource:
    """A source from the options of a pipeline file; raises ``ConfigError``. Connects on first use.

    Slot and publication are called ``rdp_<pipeline>`` unless the options name them.
    """
    from adapters.sources.postgres.options import parse_options
    from adapters.sources.postgres.source import PostgresSource

    return PostgresSource(name, parse_options(name, options, pipeline=pipeline))


def build_detector(name: str, options: Mapping[str, object], *, pipeline: str) -> PostgresDetector:
    """What tells whether the source that ``build`` makes of the same options has changes to load."""
    from adapters.sources.postgres.detection import PostgresDetector
    from adapters.sources.postgres.options import parse_options

    return PostgresDetector(parse_options(name, options, pipeline=pipeline))
