"""The fence before whatever a writer changes: the checkpoint is moved, and only by whoever knows it as it is (P4).

Where the checkpoint is kept is ``checkpoints``'.
"""

from __future__ import annotations

from adapters.warehouses.snowflake.checkpoints import move_checkpoint
from adapters.warehouses.snowflake.session import Session
from pipeline.domain.checkpoint import Checkpoint
from pipeline.domain.errors import Fenced


def move(session: Session, row: Checkpoint, checkpoint: Checkpoint) -> None:
    """Move the checkpoint's row by compare-and-set; raises ``Fenced`` if it is not ``row`` any more."""
    if session.execute(move_checkpoint(row, checkpoint)) != 1:
        raise fenced(row.group)


def fenced(group: str) -> Fenced:
    """What a writer gets whose checkpoint another one moved."""
    return Fenced(
        "another writer moved the checkpoint",
        where=f"group {group}",
        hint="Stop this process, or the other one, and start again.",
    )
