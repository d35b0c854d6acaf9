"""What a load into Snowflake costs on our side, and the whole path through an emulator.

Rows to Parquet files to the stage are timed against the bare connector that uploads the same million changes, in turn.
What the real service does with them is not measured here: the whole path is for comparing one version with the next.
"""

from __future__ import annotations

import statistics
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from adapters.warehouses.changerows import Stamp, changelog_rows
from adapters.warehouses.snowflake import sql
from adapters.warehouses.snowflake.options import parse
from adapters.warehouses.snowflake.session import Session
from adapters.warehouses.snowflake.sessions import Sessions
from adapters.warehouses.snowflake.statement import Statement
from adapters.warehouses.snowflake.uploading import Uploads
from adapters.warehouses.snowflake.warehouse import SnowflakeWarehouse
from entrypoints.demo.server import EmbeddedPostgres
from pipeline.domain.change import COMMIT_AT_TYPE, UNCHANGED_TYPE, Operation, change_schema
from pipeline.domain.position import PHASE_SNAPSHOT, pack_sequences
from pipeline.domain.schema import Column, StreamSchema
from pipeline.domain.stream import BatchLimits
from tests.benchmarks import table
from tests.support.emulator import Emulator
from tests.support.world import World

ROWS = 1_000_000
PATH_ROWS = 100_000
PATH_CHANGES = 50_000
PIECE_ROWS = 30_000
AT = datetime(2026, 1, 1, tzinfo=UTC)

#: As the table ``bench`` is read from PostgreSQL.
SCHEMA = StreamSchema(
    [
        Column("id", pa.int64()),
        Column("customer", pa.int32()),
        Column("status", pa.string()),
        Column("amount", pa.decimal128(12, 2)),
        Column("weight", pa.float64()),
        Column("quantity", pa.int32()),
        Column("created", pa.timestamp("us", "UTC")),
        Column("day", pa.date32()),
        Column("note", pa.string()),
        Column("flag", pa.bool_()),
    ],
    key=("id",),
)


def upload(folder: Path, *, rounds: int) -> dict[str, Any]:
    """A million changes to the stage, by us and by the bare connector with the same rows."""
    pieces = [_changes(first, min(PIECE_ROWS, ROWS - first)) for first in range(0, ROWS, PIECE_ROWS)]
    bare, ours, sizes = [], [], []
    with Emulator() as emulator:
        options = parse("bench", {**emulator.options("BENCH"), "work_folder": str(folder)})
        SnowflakeWarehouse(options).setup("shop")
        sessions = Sessions(options)
        for number in range(rounds):
            bare.append(_by_the_connector(sessions.get(), folder / f"bare-{number}.parquet", pieces))
            seconds, size = _by_us(sessions, pieces)
            ours.append(seconds)
            sizes.append(size)
    ratios = [mine / limit for mine, limit in zip(ours, bare, strict=True)]
    return {
        "bare_connector_s": [round(value, 2) for value in bare],
        "pipeline_s": [round(value, 2) for value in ours],
        "ratio": [round(value, 2) for value in ratios],
        "median_ratio": round(statistics.median(ratios), 2),
        "bytes_per_row": round(sizes[-1] / ROWS, 1),
    }


def whole_path(server: EmbeddedPostgres, folder: Path) -> dict[str, Any]:
    """A first copy and a drain into the emulator, and what statements a batch is made of."""
    with Emulator() as emulator:
        world = World(server, "bench", folder, kind="snowflake", emulator=emulator, limits=BatchLimits())
        world.stream("bench")
        started = time.perf_counter()
        world.run()
        copied = time.perf_counter()
        before = len(emulator.seen("BENCH"))
        table.churn(world.dsn, base=1_000_000, changes=PATH_CHANGES)
        begun = time.perf_counter()
        result = world.run()
        drained = time.perf_counter()
        seen = [statement.text for statement in emulator.seen("BENCH")[before:]]
        world.warehouse.close()
    words = [text.split(maxsplit=1)[0] for text in seen]
    first, last = words.index("BEGIN"), words.index("COMMIT")
    return {
        "copied_rows": PATH_ROWS,
        "copy_s": round(copied - started, 1),
        "changes": sum(count.changelog_count for count in result.counts.values()),
        "drain_s": round(drained - begun, 1),
        "batches": result.batch_count,
        "statements_of_a_batch": words[first : last + 1],
        "uploaded_files": sum(text.startswith("PUT 'file:///") for text in seen),
    }


def _by_the_connector(session: Session, path: Path, pieces: list[pa.Table]) -> float:
    started = time.perf_counter()
    rows = pieces[0].drop_columns(["_cdc_old_key"])
    with pq.ParquetWriter(str(path), rows.schema, compression="zstd", coerce_timestamps="us") as writer:
        for piece in pieces:
            writer.write_table(piece.drop_columns(["_cdc_old_key"]))
    session.put(path, "@PIPELINE.LOADS/bare/")
    return time.perf_counter() - started


def _by_us(sessions: Sessions, pieces: list[pa.Table]) -> tuple[float, int]:
    started = time.perf_counter()
    with Uploads(sessions) as uploads:
        growing = uploads.growing(sql.changelog_columns(SCHEMA))
        for piece in pieces:
            growing.add(changelog_rows(piece, SCHEMA, version=1, stamp=Stamp(1, AT)))
        growing.finish()
        uploads.wait()
        seconds = time.perf_counter() - started
        listed = sessions.get().named_rows(Statement("LIST @PIPELINE.LOADS"))
    return seconds, sum(int(row["size"]) for row in listed if uploads.folder in str(row["name"]))


def _digits(number: int) -> str:
    return f"{number * 2654435761 % 2**64:016x}{number * 40503 % 2**64:016x}"


def _changes(first: int, count: int) -> pa.Table:
    numbers = np.arange(first, first + count)
    numbered = pa.array(numbers)
    data = [
        numbered,
        pa.array((numbers % 1000).astype(np.int32)),
        pa.array(np.array(["new", "paid", "sent", "done"])[numbers % 4]),
        pa.array(numbers % 100_000).cast(pa.decimal128(21, 2)).cast(pa.decimal128(12, 2)),
        pa.array(numbers / 7.0),
        pa.array((numbers % 10).astype(np.int32)),
        pa.array(1_767_225_600_000_000 + numbers * 1_000_000).cast(pa.timestamp("us", "UTC")),
        pa.array((20_454 + numbers % 365).astype(np.int32)).cast(pa.date32()),
        pa.array([f"note {_digits(number)}" for number in numbers.tolist()]),
        pa.array(numbers % 2 == 0),
    ]
    metadata = [
        pa.repeat(pa.scalar(int(Operation.SNAPSHOT), pa.int8()), count),
        pack_sequences(0, 26_000_000, PHASE_SNAPSHOT, numbers.astype(np.uint64)),
        pa.repeat(pa.scalar(AT, COMMIT_AT_TYPE), count),
        pa.nulls(count, UNCHANGED_TYPE),
        pa.nulls(count, SCHEMA.key_type()),
    ]
    return pa.Table.from_arrays([*data, *metadata], schema=change_schema(SCHEMA))
