"""Files of a folder or a bucket as a source, by fsspec: CSV, JSON lines, Parquet and Avro, plain or compressed.

A manifest in the bookmarks tells new, changed, removed and still-being-written files apart. Readers of formats are
imported when files are read.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from adapters.sources.polling.detection import PollDetector
    from adapters.sources.polling.source import PollSource


def build(name: str, options: Mapping[str, object], *, pipeline: str = "") -> PollSource:
    """A source from the options of a pipeline file; raises ``ConfigError``. Lists nothing before first use."""
    from adapters.sources.files.extractor import FilesExtractor
    from adapters.sources.files.options import source_options
    from adapters.sources.polling.source import PollSource

    return PollSource(FilesExtractor(name, source_options(name, options)))


def build_detector(name: str, options: Mapping[str, object], *, pipeline: str = "") -> PollDetector:
    """What tells whether the source that ``build`` makes of the same options has changes to load."""
    from adapters.sources.files.extractor import FilesExtractor
    from adapters.sources.files.options import source_options
    from adapters.sources.polling.detection import PollDetector

    return PollDetector(FilesExtractor(name, source_options(name, options)))
