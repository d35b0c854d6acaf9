"""Any SQL database as a source, looked at again and again: by cursor, by key diff, by row hashes, or as a whole.

The drivers are imported when a source is built.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from adapters.sources.polling.detection import PollDetector
    from adapters.sources.polling.source import PollSource
    from adapters.sources.sql.extractor import SqlExtractor


def build(name: str, options: Mapping[str, object], *, pipeline: str = "") -> PollSource:
    """A source from the options of a pipeline file; raises ``ConfigError``. Connects on first use."""
    from adapters.sources.polling.source import PollSource

    return PollSource(_extractor(name, options))


def build_detector(name: str, options: Mapping[str, object], *, pipeline: str = "") -> PollDetector:
    """What tells whether the source that ``build`` makes of the same options has changes to load."""
    from adapters.sources.polling.detection import PollDetector

    return PollDetector(_extractor(name, options))


def _extractor(name: str, options: Mapping[str, object]) -> SqlExtractor:
    from adapters.sources.sql.databases import open_database
    from adapters.sources.sql.extractor import SqlExtractor
    from adapters.sources.sql.options import parse_options

    parsed = parse_options(name, options)
    return SqlExtractor(name, open_database(parsed), poll_s=parsed.poll_s)
