"""Tables as PostgreSQL's catalog and its log describe them, before they become streams.

Reading the catalog is ``catalog``'s work, reading the log ``pgoutput``'s; both speak in these values.
"""

from __future__ import annotations

import attrs

from pipeline.domain.schema import Column, StreamSchema


@attrs.frozen
class SourceColumn:
    """One column as the catalog describes it.

    ``type_oid`` and ``typmod`` are pg_attribute's; ``type_text`` what format_type() makes of them; ``type_name`` the
    plain name from pg_type (``int4``, ``numeric``, ``mood``); ``type_kind`` pg_type.typtype (``b`` base, ``c``
    composite, ``d`` domain, ``e`` enum, ``r`` range, ``m`` multirange). For a domain, ``base_oid``, ``base_name`` and
    ``base_typmod`` describe the type under all domains, else they equal the type's own. ``element_oid`` and
    ``element_name`` describe an array's elements (0 and "" if it is none). ``default_text`` is the value, as text, that
    rows older than the column show (attmissingval), None without one; ``fills_old_rows`` that each of them got a value
    of its own (a volatile default, an identity). ``generated`` is ``s`` stored, ``v`` virtual, or "".
    """

    name: str
    attnum: int
    type_oid: int
    typmod: int
    type_text: str
    type_name: str
    type_kind: str = "b"
    base_oid: int = 0
    base_name: str = ""
    base_typmod: int = -1
    element_oid: int = 0
    element_name: str = ""
    not_null: bool = False
    generated: str = ""
    default_text: str | None = None
    fills_old_rows: bool = False


@attrs.frozen
class LoggedColumn:
    """One column as a Relation message describes it; ``in_identity`` marks columns of the replica identity."""

    name: str
    type_oid: int
    typmod: int
    in_identity: bool


@attrs.frozen
class RelationMessage:
    """A Relation message of pgoutput; ``identity`` is pg_class.relreplident (``d``, ``n``, ``f``, ``i``)."""

    oid: int
    namespace: str
    name: str
    identity: str
    columns: tuple[LoggedColumn, ...]


@attrs.frozen
class TrackedRelation:
    """What a Relation message means for a stream.

    ``columns`` has one entry for each column of the message, in its order: the stream's column, or None where it is
    left out. ``schema`` holds the columns that are not None, in the same order. ``since`` is the LSN of the stream's
    consistent point: changes whose commit LSN lies before it are skipped and counted as covered. ``leaves`` are the
    oids of all partitions that hold the stream's rows, where the relation is one of them, not the stream's own table.
    """

    stream: str
    schema: StreamSchema
    columns: tuple[Column | None, ...]
    since: int
    leaves: frozenset[int] = frozenset()
