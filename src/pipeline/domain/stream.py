"""What a person configured of a pipeline, its streams and their modes, as frozen values.

Reading files and environment variables is done in entrypoints; these values are what is passed on.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum

import attrs

from pipeline.domain.contract import Contract
from pipeline.domain.naming import table_name


class Mode(Enum):
    """How changes reach a staging table."""

    MIRROR = "mirror"
    SOFT_DELETE = "soft_delete"
    HISTORY = "history"
    APPEND = "append"


@attrs.frozen
class StreamSpec:
    """One stream of a pipeline: its name, the relation it reads, the mode of its staging table and its contract.

    ``read`` says how it is read, in the words of its source's kind.
    """

    name: str
    relation: str
    source: str
    mode: Mode = Mode.MIRROR
    contract: Contract = attrs.field(factory=Contract)
    masks: Mapping[str, str] = attrs.field(factory=dict)
    exclude: frozenset[str] = frozenset()
    read: Mapping[str, object] = attrs.field(factory=dict)

    @property
    def table(self) -> str:
        """The name of its staging table, changelog and quarantine, each in its own schema."""
        return table_name(self.source, self.name)


@attrs.frozen
class BatchLimits:
    """When a batch is closed: whichever of rows, bytes of log, or age in seconds is reached first.

    ``spill_bytes`` is how much of one transaction may wait in memory before it goes to disk (P11).
    """

    rows: int = 200_000
    bytes: int = 64 * 1024 * 1024
    age_s: float = 0.2
    spill_bytes: int = 128 * 1024 * 1024
    idle_checkpoint_s: float = 60.0
    idle_checkpoint_bytes: int = 16 * 1024 * 1024


@attrs.frozen
class SystemSpec:
    """A source, warehouse or transformer to build: its kind, its name and the options of its adapter.

    Options may hold secrets: never log or print them (``repr`` leaves them out).
    """

    kind: str
    name: str
    options: Mapping[str, object] = attrs.field(factory=dict, repr=False)


@attrs.frozen
class PipelineSpec:
    """One group of a pipeline: the streams that share one reader, one checkpoint and one transaction.

    The streams of a log source are one group, named like the source. Of a source without a log each stream is a group
    of its own, named like its table, so that one that fails stops no other. A pipeline file is one or more of these,
    alike in all but ``source``, ``streams`` and ``group``.
    """

    name: str
    source: SystemSpec
    warehouse: SystemSpec
    streams: Mapping[str, StreamSpec]
    transform: SystemSpec | None = None
    transform_every_s: float = 60.0
    limits: BatchLimits = attrs.field(factory=BatchLimits)
    schedule: str | None = None
    description: str = ""
    group: str = attrs.field(default=attrs.Factory(lambda self: self.source.name, takes_self=True))
