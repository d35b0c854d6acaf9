"""What every warehouse refuses, in the same words. When it does is each adapter's."""

from __future__ import annotations

from pipeline.domain.checkpoint import Checkpoint
from pipeline.domain.errors import Fenced, SchemaRefused, WarehouseError
from pipeline.domain.loading import Target
from pipeline.domain.stream import Mode


def fenced(group: str) -> Fenced:
    """What a writer gets whose checkpoint another one moved."""
    return Fenced(
        "another writer moved the checkpoint",
        where=f"group {group}",
        hint="Stop this process, or the other one, and start again.",
    )


def already_begun(group: str) -> Fenced:
    """What a writer gets who begins a group that has a checkpoint."""
    return Fenced("the group was already begun", where=f"group {group}", hint="Start again: it goes on there.")


def load_is_over(group: str) -> WarehouseError:
    """What a load gets that goes on after its end."""
    return WarehouseError("the load is over", where=f"group {group}", hint="Open another one.")


def foreign_table(where: str) -> SchemaRefused:
    """What a stream gets whose table stands there without a record of ours."""
    return SchemaRefused(
        "a table of this name exists that the pipeline did not make",
        where=where,
        hint="Rename or drop it, or give the stream another name.",
    )


def refuse_keyless(target: Target) -> None:
    """Raise ``SchemaRefused`` for a mode that finds rows by a key that the stream does not have."""
    if not target.schema.key and target.mode is not Mode.APPEND:
        raise SchemaRefused(
            f"the stream has no key, so its mode cannot be {target.mode.value}",
            where=f"stream {target.stream}",
            hint="Set its mode to append, or give the table a primary key or a replica identity index.",
        )


def refuse_same_epoch(previous: Checkpoint, checkpoint: Checkpoint) -> None:
    """Raise ``WarehouseError`` for a reset that would leave the order of sequences as it is."""
    if checkpoint.epoch <= previous.epoch:
        raise WarehouseError("a reset must raise the epoch", where=f"group {checkpoint.group}")
