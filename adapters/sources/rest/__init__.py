"""REST APIs as sources: endpoints that answer with JSON, read page by page as the pipeline file says.

The HTTP library is imported when a source is built.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from adapters.sources.polling.detection import PollDetector
    from adapters.sources.polling.source import PollSource


def build(name: str, options: Mapping[str, object], *, pipeline: str = "") -> PollSource:
    """A source from the options of a pipeline file; raises ``ConfigError``. Connects on first use."""
    from adapters.sources.polling.source import PollSource
    from adapters.sources.rest.extractor import RestExtractor
    from adapters.sources.rest.options import parse_options

    return PollSource(RestExtractor(name, parse_options(name, options)))


def build_detector(name: str, options: Mapping[str, object], *, pipeline: str = "") -> PollDetector:
    """What tells whether the source that ``build`` makes of the same options has changes to load."""
    from adapters.sources.polling.detection import PollDetector
    from adapters.sources.rest.extractor import RestExtractor
    from adapters.sources.rest.options import parse_options

    return PollDetector(RestExtractor(name, parse_options(name, options)))
