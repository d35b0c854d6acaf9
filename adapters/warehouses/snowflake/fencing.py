"""The fence before whatever a writer changes: the checkpoint is moved, and only by whoever knows it as it is (P4).

Where the checkpoint is kept is ``checkpoints``'.
"""

from __future__ import annotations

from collections.abc import Callable

from adapters.warehouses.refusals import fenced
from adapters.warehouses.snowflake.checkpoints import move_checkpoint
from adapters.warehouses.snowflake.session import Session
from adapters.warehouses.snowflake.statement import Statement
from pipeline.domain.checkpoint import Checkpoint


def move(
    session: Session,
    row: Checkpoint,
    checkpoint: Checkpoint,
    *,
    told: Callable[[Statement], Statement] = lambda statement: statement,
) -> None:
    """Move the checkpoint's row by compare-and-set; raises ``Fenced`` if it is not ``row`` any more.

    ``told`` may add to the statement what it belongs to.
    """
    if session.execute(told(move_checkpoint(row, checkpoint))) != 1:
        raise fenced(row.group)
