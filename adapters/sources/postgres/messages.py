"""Messages of pgoutput that are few: relations, truncates and logical messages, read one at a time.

Formats are those of the PostgreSQL documentation, "Logical Replication Message Formats". Rows are ``tuples``' work.
"""

from __future__ import annotations

import struct

import attrs

from adapters.sources.postgres.relation import LoggedColumn, RelationMessage

#: Microseconds from 1970 to 2000, where PostgreSQL's count begins.
POSTGRES_EPOCH = 946_684_800_000_000

_RELATION_IDENTITY = struct.Struct(">cH")
_COLUMN_TYPE = struct.Struct(">Ii")
_MESSAGE_HEAD = struct.Struct(">BQ")


@attrs.frozen
class LogicalMessage:
    """A message that somebody wrote into the log with pg_logical_emit_message; never a row."""

    prefix: str
    content: bytes = attrs.field(repr=False)
    lsn: int
    transactional: bool


def read_relation(message: bytes) -> RelationMessage:
    """A Relation message (``R``)."""
    (oid,) = struct.unpack_from(">I", message, 1)
    namespace, at = _text(message, 5)
    name, at = _text(message, at)
    identity, count = _RELATION_IDENTITY.unpack_from(message, at)
    at += _RELATION_IDENTITY.size
    columns = []
    for _ in range(count):
        flags = message[at]
        column, at = _text(message, at + 1)
        type_oid, typmod = _COLUMN_TYPE.unpack_from(message, at)
        at += _COLUMN_TYPE.size
        columns.append(LoggedColumn(column, type_oid, typmod=typmod, in_identity=bool(flags & 1)))
    return RelationMessage(
        oid=oid,
        namespace=namespace or "pg_catalog",
        name=name,
        identity=identity.decode(),
        columns=tuple(columns),
    )


def read_truncate(message: bytes) -> tuple[int, ...]:
    """The oids of the relations that a Truncate message (``T``) empties; its options change nothing for us."""
    (count,) = struct.unpack_from(">I", message, 1)
    return struct.unpack_from(f">{count}I", message, 6)


def read_logical(message: bytes) -> LogicalMessage:
    """A Message message (``M``)."""
    flags, lsn = _MESSAGE_HEAD.unpack_from(message, 1)
    prefix, at = _text(message, 1 + _MESSAGE_HEAD.size)
    (length,) = struct.unpack_from(">I", message, at)
    return LogicalMessage(prefix, message[at + 4 : at + 4 + length], lsn=lsn, transactional=bool(flags & 1))


def _text(message: bytes, at: int) -> tuple[str, int]:
    end = message.index(0, at)
    return message[at:end].decode(errors="backslashreplace"), end + 1
