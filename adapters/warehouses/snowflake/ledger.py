"""Checkpoints of groups as the present thread knows them: read, begun, expected, moved (P4), and noted as idle (P12).

How one is kept is ``checkpoints``'s; a load moves its own, within its transaction (``load``).
"""

from __future__ import annotations

from adapters.warehouses.refusals import already_begun, fenced
from adapters.warehouses.snowflake import checkpoints
from adapters.warehouses.snowflake.checkpoints import Idle, Known, Recorded, place_of
from adapters.warehouses.snowflake.fencing import move
from adapters.warehouses.snowflake.sessions import Sessions
from pipeline.domain.checkpoint import Checkpoint
from pipeline.domain.errors import PipelineError

#: Error numbers of the service: an object is not there (or not to be seen), a schema is not there, a name is taken.
NO_OBJECT, NO_SCHEMA, TAKEN = 2003, 2043, 2002


class Ledger:
    """Where a checkpoint is known, it need not be read before a load; and as long as a load or rebuild may move it, it
    is not known.
    """

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions
        self._known = Known()

    def read(self, group: str) -> Checkpoint | None:
        """The group's checkpoint, None if it has none or the tables are not there yet."""
        recorded = self._read(group)
        return None if recorded is None else recorded.newest

    def begin(self, checkpoint: Checkpoint) -> None:
        """Make the group's table with its first checkpoint. Raises ``Fenced`` if it has one."""
        try:
            self._sessions.call(lambda session: session.execute(checkpoints.create_checkpoint(checkpoint)))
        except PipelineError as error:
            if error.facts.get("errno") != TAKEN:
                raise
            raise already_begun(checkpoint.group) from None
        self.moved(checkpoint)

    def take(self, previous: Checkpoint, *, again: bool = False) -> Checkpoint:
        """The row that ``previous`` is in or stands on, read ``again`` or only where it is not known; from now on it is
        not known, until it is told what became of it. Raises ``Fenced`` if the checkpoint is another one.
        """
        recorded = self._expect(previous, again=again)
        self._known.recorded.pop(previous.group)
        return recorded.row

    def moved(self, checkpoint: Checkpoint) -> None:
        """Know a checkpoint that this thread moved the row to."""
        self._known.recorded[checkpoint.group] = Recorded(checkpoint)

    def move(self, previous: Checkpoint, checkpoint: Checkpoint) -> None:
        """Move the row alone. Raises ``Fenced``."""
        row = self.take(previous, again=True)
        move(self._sessions.get(), row, checkpoint)
        self.moved(checkpoint)

    def idle(self, previous: Checkpoint, checkpoint: Checkpoint) -> None:
        """Write the checkpoint as a comment, which needs no warehouse.

        A comment cannot be compared and set. It need not be: nothing is loaded by it, and it holds only while the row
        stands that this writer knows. What is read first keeps an idle writer that lost its place from going on;
        between this and the comment it may at worst overwrite a later comment of another idle writer on the same row,
        which makes an idle position be reached twice.
        """
        row = self._expect(previous, again=True).row
        self._sessions.call(lambda session: session.execute(checkpoints.note_idle(row, checkpoint)))
        self._known.recorded[checkpoint.group] = Recorded(row, Idle(checkpoint, place_of(row)))

    def _read(self, group: str) -> Recorded | None:
        before = self._known.recorded.pop(group, None)
        known = None if before is None else before.row
        try:
            recorded = self._sessions.call(lambda session: checkpoints.read_checkpoint(session, group, known=known))
        except PipelineError as error:
            if error.facts.get("errno") not in (NO_OBJECT, NO_SCHEMA):
                raise
            recorded = None
        if recorded is not None:
            self._known.recorded[group] = recorded
        return recorded

    def _expect(self, previous: Checkpoint, *, again: bool) -> Recorded:
        known = None if again else self._known.recorded.get(previous.group)
        recorded = known or self._read(previous.group)
        if recorded is None or not _is_same(recorded.newest, previous):
            raise fenced(previous.group)
        return recorded


def _is_same(left: Checkpoint, right: Checkpoint) -> bool:
    return (left.position, left.load, left.epoch) == (right.position, right.load, right.epoch)
