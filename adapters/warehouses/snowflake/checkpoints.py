"""The checkpoint of each group: a row in a tiny table of its own, moved by compare-and-set, and an idle comment on it.

When which of them is written is told in ``load`` and ``warehouse``.
"""

from __future__ import annotations

import json
import threading
from datetime import UTC, datetime
from typing import Any

import attrs

from adapters.warehouses.snowflake import sql
from adapters.warehouses.snowflake.session import Session
from adapters.warehouses.snowflake.statement import Statement, columns, literal, qualified, quote, stored
from adapters.warehouses.snowflake.types import BOUND_INSTANT, INSTANT
from pipeline.domain.checkpoint import Checkpoint
from pipeline.domain.naming import PIPELINE
from pipeline.domain.position import Position

#: See ``place_of``.
Place = tuple[int, int, str]

_INTEGER = "NUMBER(38,0)"
_CHECKPOINT = {"position": "VARCHAR", "load": _INTEGER, "epoch": _INTEGER, "at": INSTANT}


@attrs.frozen
class Recorded:
    """A group's checkpoint as it is kept: in the row, which loads move, and in the comment, which idle moves write.

    A comment is metadata and needs no warehouse. It stands on the row that its writer knew: once that is moved it is
    void, also where a writer that slept meanwhile writes it only then. What holds is the ``newest`` of both.
    """

    row: Checkpoint
    comment: Idle | None = None

    @property
    def newest(self) -> Checkpoint:
        """The comment's, if it stands on the row as it is now; else the row's."""
        if self.comment is None or self.comment.place != place_of(self.row):
            return self.row
        return self.comment.checkpoint


@attrs.frozen
class Idle:
    """An idle checkpoint, and the ``place`` of the row that it stands on."""

    checkpoint: Checkpoint
    place: Place


def place_of(row: Checkpoint) -> Place:
    """What tells a row from every other that the group's table ever holds: load, epoch, encoded position."""
    return row.load, row.epoch, row.position.encode()


class Known(threading.local):
    """What the present thread knows of each group's checkpoint: what another thread reads meanwhile may be older."""

    def __init__(self) -> None:
        self.recorded: dict[str, Recorded] = {}


def checkpoint_table(group: str) -> str:
    """The tiny table that has a group's checkpoint, for it alone: an UPDATE of a shared one would queue all loads."""
    return qualified(PIPELINE, _checkpoint_name(group))


def read_checkpoint(session: Session, group: str, *, known: Checkpoint | None = None) -> Recorded | None:
    """The group's checkpoint; None if it was never begun. ``known`` is the row that the caller wrote or read last.

    No warehouse has to wake up (P12). The first statement is metadata. Whether the row still is the known one is told
    by the highest load and epoch, which the service answers from metadata, too, also where the row was changed just
    now. Else it is read, by a statement that the result cache answers while the row stands: it binds nothing.
    """
    name = stored(_checkpoint_name(group))
    found = session.named_rows(Statement(f"SHOW TABLES LIKE {literal(name)} IN SCHEMA {quote(PIPELINE)}"))
    comments = [str(row["comment"] or "") for row in found if row["name"] == name]
    if not comments:
        return None
    row = known if known is not None and _stands(session, known) else _read_row(session, group)
    return None if row is None else Recorded(row, _from_comment(group, comments[0]))


def create_checkpoint(checkpoint: Checkpoint) -> Statement:
    """Make a group's table with its first checkpoint at once; fails if it is there."""
    values = (
        f"{literal(checkpoint.position.encode())}::VARCHAR",
        f"{checkpoint.load}::{_INTEGER}",
        f"{checkpoint.epoch}::{_INTEGER}",
        f"{literal(sql.instant(checkpoint.at))}::{INSTANT}",
    )
    named = ", ".join(f"{value} AS {quote(name)}" for value, name in zip(values, _CHECKPOINT, strict=True))
    return Statement(f"CREATE TABLE {checkpoint_table(checkpoint.group)} AS\nSELECT {named}")


def move_checkpoint(row: Checkpoint, checkpoint: Checkpoint) -> Statement:
    """Compare and set: changes no row if the row is not ``row`` any more (P4)."""
    return Statement(
        f"""UPDATE {checkpoint_table(row.group)}
SET {quote("position")} = ?, {quote("load")} = ?, {quote("epoch")} = ?, {quote("at")} = {BOUND_INSTANT}
WHERE {quote("position")} = ? AND {quote("load")} = ? AND {quote("epoch")} = ?""",
        [*_checkpoint_values(checkpoint), row.position.encode(), row.load, row.epoch],
    )


def note_idle(row: Checkpoint, checkpoint: Checkpoint) -> Statement:
    """Write an idle checkpoint as the table's comment; ``row`` is what it stands on."""
    text = json.dumps(
        {
            "position": checkpoint.position.encode(),
            "load": checkpoint.load,
            "epoch": checkpoint.epoch,
            "at": sql.instant(checkpoint.at),
            "on": place_of(row),
        },
        separators=(",", ":"),
    )
    return Statement(f"COMMENT ON TABLE {checkpoint_table(checkpoint.group)} IS {literal(text)}")


def _stands(session: Session, known: Checkpoint) -> bool:
    """Whether the row is the known one: no other ever has its load and epoch."""
    text = f"SELECT MAX({quote('load')}), MAX({quote('epoch')}) FROM {checkpoint_table(known.group)}"
    return session.rows(Statement(text)) == [(known.load, known.epoch)]


def _read_row(session: Session, group: str) -> Checkpoint | None:
    rows = session.rows(Statement(f"SELECT {columns(_CHECKPOINT)} FROM {checkpoint_table(group)}"))
    if not rows:
        return None
    position, load, epoch, at = rows[0]
    return Checkpoint(group, Position.decode(position), load=int(load), epoch=int(epoch), at=at.astimezone(UTC))


def _checkpoint_name(group: str) -> str:
    """In upper case ``Shop`` and ``shop`` would share a table: with a blank in it a name is kept as it is."""
    return f"checkpoint_{group}" if group == group.lower() else f"checkpoint {group}"


def _from_comment(group: str, text: str) -> Idle | None:
    if not text.startswith("{"):
        return None
    told: dict[str, Any] = json.loads(text)
    checkpoint = Checkpoint(
        group,
        Position.decode(told["position"]),
        load=int(told["load"]),
        epoch=int(told["epoch"]),
        at=datetime.fromisoformat(told["at"]),
    )
    load, epoch, position = told["on"]
    return Idle(checkpoint, (int(load), int(epoch), str(position)))


def _checkpoint_values(checkpoint: Checkpoint) -> tuple[object, ...]:
    return (checkpoint.position.encode(), checkpoint.load, checkpoint.epoch, sql.instant(checkpoint.at))
