"""Frames of a real server's log, and its relations as tracked streams, for tests of the decoder.

Reads with psycopg's bare connection; nothing of the adapter's own connection code is used.
"""

from __future__ import annotations

import select
import struct
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from urllib.parse import quote

import attrs
import psycopg
from psycopg import pq

from adapters.sources.postgres.relation import RelationMessage, SourceColumn, TrackedRelation
from adapters.sources.postgres.types import column_of
from entrypoints.demo.server import EmbeddedPostgres
from pipeline.domain.schema import StreamSchema

_SETTINGS = "-c datestyle=ISO -c intervalstyle=iso_8601 -c timezone=UTC -c bytea_output=hex -c extra_float_digits=1"
_MARK = "end-of-recording"

#: The server notices that its reader has gone only after a while.
_DROP = """
do $$ begin
  while exists (select from pg_replication_slots where slot_name = '{slot}' and active) loop
    perform pg_sleep(0.01);
  end loop;
  perform pg_drop_replication_slot('{slot}');
end $$
"""

_COLUMNS = """
select a.attname, a.attnum, a.atttypid, a.atttypmod, format_type(a.atttypid, a.atttypmod), t.typname, t.typtype,
       b.oid, b.typname, case when t.typtype = 'd' then t.typtypmod else a.atttypmod end,
       case when b.typcategory = 'A' then b.typelem else 0 end, coalesce(e.typname, ''), a.attnotnull, a.attgenerated
from pg_attribute a
join pg_type t on t.oid = a.atttypid
join pg_type b on b.oid = case when t.typtype = 'd' then t.typbasetype else t.oid end
left join pg_type e on e.oid = b.typelem and b.typcategory = 'A'
where a.attrelid = %s and a.attnum > 0 and not a.attisdropped
order by a.attnum
"""
_KEY = """
select a.attname from pg_index i join pg_attribute a on a.attrelid = i.indrelid and a.attnum = any(i.indkey)
where i.indrelid = %s and i.indisprimary order by array_position(i.indkey::int2[], a.attnum)
"""


@attrs.define
class Recorder:
    """A slot and a publication of all tables of one database."""

    server: EmbeddedPostgres
    database: str
    connection: psycopg.Connection
    marks: int = 0

    def run(self, *statements: str) -> None:
        """Run statements, each in a transaction of its own unless they say otherwise."""
        for statement in statements:
            self.connection.execute(statement)  # type: ignore[arg-type] # tests write their own SQL

    def frames(self) -> list[bytes]:
        """Everything logged since the recorder began, as XLogData frames."""
        self.marks += 1
        self.connection.execute("select pg_logical_emit_message(false, %s, %s)", [_MARK, str(self.marks)])
        frames = []
        marks = 0
        for frame in _stream(self.server.dsn(self.database)):
            if frame[25:26] == b"M" and _MARK.encode() in frame:
                marks += 1
                if marks == self.marks:
                    return frames
            else:
                frames.append(frame)
        raise AssertionError("the log ended before the mark")

    def resolver(self, *, since: int = 0) -> Callable[[RelationMessage], TrackedRelation | None]:
        """Every relation as a stream of its own name, with the columns and key that the catalog has now."""

        def resolve(message: RelationMessage) -> TrackedRelation | None:
            return self.track(message, since=since)

        return resolve

    def track(self, message: RelationMessage, *, since: int = 0) -> TrackedRelation:
        """The relation of ``message`` by the catalog, of its columns those that the message names."""
        with self.connection.cursor() as cursor:
            rows = cursor.execute(_COLUMNS, [message.oid]).fetchall()
            key = tuple(name for (name,) in cursor.execute(_KEY, [message.oid]).fetchall())
        known = {row[0]: column_of(source_column(row), name=row[0]) for row in rows}
        columns = tuple(known[logged.name] for logged in message.columns)
        return TrackedRelation(message.name, StreamSchema(columns, key), columns=columns, since=since)


def source_column(row: tuple[object, ...]) -> SourceColumn:
    """A column from a row of the catalog query."""
    names = (
        *("name", "attnum", "type_oid", "typmod", "type_text", "type_name", "type_kind", "base_oid", "base_name"),
        *("base_typmod", "element_oid", "element_name", "not_null", "generated"),
    )
    return SourceColumn(**dict(zip(names, row, strict=True)))  # type: ignore[arg-type] # as the query orders them


def source_columns(connection: psycopg.Connection, table: str) -> dict[str, SourceColumn]:
    """The columns of a table by name."""
    row = connection.execute("select %s::regclass::oid", [table]).fetchone()
    assert row is not None
    return {column[0]: source_column(column) for column in connection.execute(_COLUMNS, [row[0]]).fetchall()}


@contextmanager
def recording(
    server: EmbeddedPostgres, database: str, *setup: str, options: Mapping[str, str] | None = None
) -> Iterator[Recorder]:
    """A new database with ``setup`` run in it, and a recorder of everything that happens afterwards."""
    with psycopg.connect(server.dsn(), autocommit=True) as admin:
        admin.execute(f'create database "{database}"')  # type: ignore[arg-type] # a name of the test
    chosen = "".join(f", {name} = {value}" for name, value in (options or {}).items())
    with psycopg.connect(server.dsn(database), autocommit=True) as connection:
        recorder = Recorder(server, database, connection)
        recorder.run(
            *setup,
            f"create publication p for all tables with (publish = 'insert, update, delete, truncate'{chosen})",
            f"select pg_create_logical_replication_slot('{database}', 'pgoutput')",
        )
        yield recorder
        recorder.run(_DROP.format(slot=database))


def _stream(dsn: str) -> Iterator[bytes]:
    database = dsn.rsplit("/", 1)[1]
    connection = pq.PGconn.connect(f"{dsn}?replication=database&options={quote(_SETTINGS)}".encode())
    try:
        assert connection.status == pq.ConnStatus.OK, connection.error_message
        result = connection.exec_(
            f"START_REPLICATION SLOT {database} LOGICAL 0/0 "
            "(proto_version '4', publication_names 'p', messages 'true')".encode()
        )
        assert result.status == pq.ExecStatus.COPY_BOTH, result.error_message
        while True:
            size, data = connection.get_copy_data(1)
            if size > 0:
                frame = bytes(data)
                if frame[:1] == b"w":
                    yield frame
            elif size == 0:
                readable, _, _ = select.select([connection.socket], [], [], 10)
                assert readable, "the log fell silent"
                connection.consume_input()
            else:
                return
    finally:
        connection.finish()


def xlog(message: bytes, *, lsn: int = 0) -> bytes:
    """A frame around a message made by hand."""
    return struct.pack(">cQQQ", b"w", lsn, lsn, 0) + message
