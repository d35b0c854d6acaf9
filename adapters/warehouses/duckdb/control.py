"""The pipeline's own tables: checkpoints, stream states, migrations, copies and the audit of loads.

Which of them change together is told in ``load`` and ``warehouse``.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import attrs
import duckdb
import pyarrow as pa

from adapters.warehouses.duckdb.connection import first_row
from adapters.warehouses.duckdb.relay import relayed
from adapters.warehouses.schemarecord import encode_schema, readable_schema, recorded_state
from pipeline.domain.bookmarks import BOOKMARK_SCHEMA
from pipeline.domain.checkpoint import Checkpoint, StreamState
from pipeline.domain.counts import StreamCounts
from pipeline.domain.naming import SCHEMAS
from pipeline.domain.position import Position

_COUNTS = tuple(field.name for field in attrs.fields(StreamCounts))

#: Created by ``setup``, in this order. ``copies`` tells which loads copied a stream anew; ``loads`` has a row per
#: stream and load, and one without a stream for a load of none.
TABLES: dict[str, str] = {
    "checkpoints": '"group" VARCHAR, "position" VARCHAR, load BIGINT, epoch INTEGER, "at" TIMESTAMPTZ',
    "intentions": '"group" VARCHAR',
    "streams": '"group" VARCHAR, stream VARCHAR, table_name VARCHAR, mode VARCHAR, phase VARCHAR, since VARCHAR, '
    "schema_version INTEGER, schema JSON, arrow_schema VARCHAR",
    "migrations": 'table_name VARCHAR, schema_version INTEGER, change VARCHAR, "at" TIMESTAMPTZ',
    "copies": 'table_name VARCHAR, load BIGINT, "at" TIMESTAMPTZ',
    "loads": '"group" VARCHAR, load BIGINT, "position" VARCHAR, "at" TIMESTAMPTZ, seconds DOUBLE, stream VARCHAR, '
    + ", ".join(f"{name} BIGINT" for name in _COUNTS),
    "transforms": '"group" VARCHAR, load BIGINT',
    "bookmarks": '"group" VARCHAR, stream VARCHAR, name VARCHAR, "value" VARCHAR',
}

SETUP = tuple(
    [f"CREATE SCHEMA IF NOT EXISTS {schema}" for schema in SCHEMAS]
    + [f"CREATE TABLE IF NOT EXISTS pipeline.{name} ({columns})" for name, columns in TABLES.items()]
)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def is_set_up(connection: duckdb.DuckDBPyConnection) -> bool:
    """Whether ``setup`` was ever run on the file, if only by a version that knew fewer tables."""
    query = "SELECT count(*) FROM duckdb_tables() WHERE schema_name = 'pipeline' AND table_name = 'checkpoints'"
    return _one(connection, query) == 1


def read_checkpoint(connection: duckdb.DuckDBPyConnection, group: str) -> Checkpoint | None:
    """The group's checkpoint."""
    query = 'SELECT "position", load, epoch, epoch_us("at") FROM pipeline.checkpoints WHERE "group" = $group'
    row = first_row(connection, query, {"group": group})
    if row is None:
        return None
    position, load, epoch, at = row
    return Checkpoint(group=group, position=Position.decode(position), load=load, epoch=epoch, at=_instant(at))


def insert_checkpoint(connection: duckdb.DuckDBPyConnection, checkpoint: Checkpoint) -> None:
    """Write a group's first checkpoint."""
    query = "INSERT INTO pipeline.checkpoints VALUES ($group, $position, $load, $epoch, $at)"
    connection.execute(query, _checkpoint_values(checkpoint))


def move_checkpoint(connection: duckdb.DuckDBPyConnection, previous: Checkpoint, checkpoint: Checkpoint) -> bool:
    """Compare and set; False if the checkpoint is not ``previous`` (P4)."""
    query = """UPDATE pipeline.checkpoints SET "position" = $position, load = $load, epoch = $epoch, "at" = $at
WHERE "group" = $group AND "position" = $old_position AND load = $old_load AND epoch = $old_epoch"""
    values = _checkpoint_values(checkpoint) | {
        "old_position": previous.position.encode(),
        "old_load": previous.load,
        "old_epoch": previous.epoch,
    }
    return _one(connection, query, **values) == 1


def read_states(connection: duckdb.DuckDBPyConnection, group: str) -> dict[str, StreamState]:
    """The recorded states of a group's streams."""
    query = """SELECT stream, table_name, mode, phase, since, schema_version, arrow_schema
FROM pipeline.streams WHERE "group" = $group ORDER BY stream"""
    return {row[0]: recorded_state(*row) for row in connection.execute(query, {"group": group}).fetchall()}


def write_state(connection: duckdb.DuckDBPyConnection, group: str, state: StreamState) -> None:
    """Record a stream's state in place of the one before."""
    values: dict[str, object] = {"group": group, "stream": state.stream}
    connection.execute('DELETE FROM pipeline.streams WHERE "group" = $group AND stream = $stream', values)
    values |= {
        "table_name": state.table,
        "mode": state.mode.value,
        "phase": state.phase.value,
        "since": state.since.encode(),
        "schema_version": state.schema_version,
        "schema": readable_schema(state.schema),
        "arrow_schema": encode_schema(state.schema),
    }
    connection.execute(f"INSERT INTO pipeline.streams VALUES ({_places(values)})", values)


def read_bookmarks(connection: duckdb.DuckDBPyConnection, group: str, stream: str) -> pa.Table:
    """The bookmarks of a stream."""
    query = 'SELECT name, "value" FROM pipeline.bookmarks WHERE "group" = $group AND stream = $stream'
    found = connection.sql(query, params={"group": group, "stream": stream}).to_arrow_table()
    return found.cast(BOOKMARK_SCHEMA)


def write_bookmarks(
    connection: duckdb.DuckDBPyConnection, group: str, stream: str, bookmarks: pa.Table, *, replaces: bool
) -> None:
    """Move bookmarks of a stream; ``replaces``: forget all others."""
    values = {"group": group, "stream": stream}
    with relayed(connection, bookmarks) as incoming:
        named = "" if replaces else f" AND name IN (SELECT name FROM {incoming})"
        connection.execute(f'DELETE FROM pipeline.bookmarks WHERE "group" = $group AND stream = $stream{named}', values)
        connection.execute(
            f"""INSERT INTO pipeline.bookmarks
SELECT $group, $stream, name, "value" FROM {incoming} WHERE "value" IS NOT NULL""",
            values,
        )


def write_audit(
    connection: duckdb.DuckDBPyConnection, checkpoint: Checkpoint, seconds: float, counts: dict[str, StreamCounts]
) -> None:
    """Write the audit rows of a load."""
    head = (checkpoint.group, checkpoint.load, checkpoint.position.encode(), checkpoint.at, seconds)
    rows = [(*head, stream, *attrs.astuple(count)) for stream, count in counts.items() or [(None, StreamCounts())]]
    places = ", ".join(["(" + ", ".join("?" * len(rows[0])) + ")"] * len(rows))
    connection.execute(f"INSERT INTO pipeline.loads VALUES {places}", [value for row in rows for value in row])


def read_audit(connection: duckdb.DuckDBPyConnection, group: str, *, limit: int) -> list[dict[str, object]]:
    """The latest loads, newest first."""
    query = f"""SELECT load, "position", epoch_us("at"), seconds, stream, {", ".join(_COUNTS)}
FROM pipeline.loads WHERE "group" = $group AND load IN (
    SELECT DISTINCT load FROM pipeline.loads WHERE "group" = $group ORDER BY load DESC LIMIT $limit
) ORDER BY load DESC, rowid"""
    loads: dict[int, dict[str, object]] = {}
    streams: dict[int, dict[str, StreamCounts]] = {}
    for load, position, at, seconds, stream, *counts in connection.execute(
        query, {"group": group, "limit": limit}
    ).fetchall():
        counted = streams.setdefault(load, {})
        loads[load] = {"load": load, "position": position, "at": _instant(at), "seconds": seconds, "counts": counted}
        if stream is not None:
            counted[stream] = StreamCounts(*counts)
    return list(loads.values())


def read_changed(connection: duckdb.DuckDBPyConnection, group: str, load: int) -> frozenset[str]:
    """The streams that loads after number ``load`` wrote to, or copied anew."""
    query = """SELECT DISTINCT l.stream FROM pipeline.loads AS l
WHERE l."group" = $group AND l.load > $load AND l.stream IS NOT NULL AND (l.changelog_count > 0 OR EXISTS (
    SELECT 1 FROM pipeline.copies AS c JOIN pipeline.streams AS s ON s.table_name = c.table_name
    WHERE s."group" = l."group" AND s.stream = l.stream AND c.load = l.load
))"""
    rows = connection.execute(query, {"group": group, "load": load}).fetchall()
    return frozenset(row[0] for row in rows)


def read_transformed(connection: duckdb.DuckDBPyConnection, group: str) -> int:
    """The load that marts were built up to, -1 if never."""
    query = 'SELECT coalesce(max(load), -1) FROM pipeline.transforms WHERE "group" = $group'
    return _one(connection, query, group=group)


def write_transformed(connection: duckdb.DuckDBPyConnection, group: str, load: int) -> None:
    """Record the load that marts were built up to."""
    connection.execute('DELETE FROM pipeline.transforms WHERE "group" = $group', {"group": group})
    connection.execute("INSERT INTO pipeline.transforms VALUES ($group, $load)", {"group": group, "load": load})


def _checkpoint_values(checkpoint: Checkpoint) -> dict[str, object]:
    return {
        "group": checkpoint.group,
        "position": checkpoint.position.encode(),
        "load": checkpoint.load,
        "epoch": checkpoint.epoch,
        "at": checkpoint.at,
    }


def _places(values: dict[str, object]) -> str:
    return ", ".join(f"${name}" for name in values)


def _instant(microseconds: int) -> datetime:
    return _EPOCH + timedelta(microseconds=microseconds)


def _one(connection: duckdb.DuckDBPyConnection, query: str, **values: object) -> int:
    row = first_row(connection, query, values)
    return 0 if row is None else int(row[0])
