"""The checkpoint of a group and the state of each of its streams, as kept in the warehouse.

Moving a checkpoint is the warehouse's work, by compare-and-set in the transaction that loads the rows (P1, P4).
"""

from __future__ import annotations

from datetime import datetime
from enum import Enum

import attrs

from pipeline.domain.position import Position
from pipeline.domain.schema import StreamSchema
from pipeline.domain.stream import Mode


@attrs.frozen
class Checkpoint:
    """The position up to which the warehouse holds every change of a group.

    ``load`` numbers the loads of the group, rising by one with each; ``epoch`` see ``Sequence``; ``at`` is when it
    was written (UTC).
    """

    group: str
    position: Position
    load: int
    epoch: int
    at: datetime

    def next(self, position: Position, *, at: datetime) -> Checkpoint:
        """The checkpoint of the next load; raises ``ValueError`` if ``position`` would move backward (P4)."""
        if not position.covers(self.position):
            raise ValueError(f"the checkpoint of {self.group} would move backward")
        return attrs.evolve(self, position=position, load=self.load + 1, at=at)

    def claimed(self) -> Checkpoint:
        """The same place under the next load's number: moving there fences out whoever still holds this one (P4)."""
        return attrs.evolve(self, load=self.load + 1)


class Phase(Enum):
    """Where a stream is in its life."""

    COPYING = "copying"
    STREAMING = "streaming"


@attrs.frozen
class StreamState:
    """What the warehouse knows of one stream.

    ``since`` is the consistent point of its snapshot: a change belongs to the stream only if its commit lies after it.
    ``schema`` is the union schema of its tables; ``schema_version`` rises with each change of it. ``mode`` is the
    mode that the staging table was last built in.
    """

    stream: str
    table: str
    mode: Mode
    phase: Phase
    since: Position
    schema: StreamSchema
    schema_version: int = 1
