"""What reading a table without its log costs, against ADBC alone that reads the same table to Arrow and does nothing.

Each reading is a process of its own, so that its peak memory is its own; they take turns, since machines are noisy.
``extract`` is the adapter's work alone; ``copy`` has fingerprints of all rows beside it, as a first look makes them.
SQLite has no dates and decimals of its own: ``bare`` leaves them texts and floats, ``typed`` casts them as we do.
"""

from __future__ import annotations

import json
import sqlite3
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pyarrow as pa

import adapters.sources.sql
from adapters.sources.sql.databases import open_database
from adapters.sources.sql.extractor import SqlExtractor
from adapters.sources.sql.options import parse_options
from entrypoints.demo.server import EmbeddedPostgres
from pipeline.domain.stream import StreamSpec
from tests.benchmarks.memory import peak_mb
from tests.support.child import environment
from tests.support.sql_world import PostgresOrigin

ROWS = 1_000_000
SPEC = StreamSpec("bench", "bench", "bench", read={"cursor": "created"})

_SQLITE = """
CREATE TABLE bench (
    id INTEGER PRIMARY KEY, customer INT NOT NULL, status TEXT NOT NULL, amount NUMERIC(12,2) NOT NULL, weight REAL,
    quantity INT NOT NULL, created TIMESTAMP NOT NULL, day DATE NOT NULL, note TEXT, flag BOOLEAN NOT NULL)"""
_FILL = f"""
WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < {ROWS})
INSERT INTO bench
SELECT n, n % 1000, CASE n % 4 WHEN 0 THEN 'new' WHEN 1 THEN 'paid' WHEN 2 THEN 'sent' ELSE 'done' END,
    (n % 100000) / 100.0, n / 7.0, n % 10, datetime('2026-01-01', n || ' seconds'),
    date('2026-01-01', (n % 365) || ' days'), 'note ' || hex(n * 2654435761) || hex(n * 40503), n % 2 = 0
FROM numbers"""


_TYPES = {"amount": pa.decimal128(12, 2), "created": pa.timestamp("us"), "day": pa.date32(), "flag": pa.bool_()}


def reading(server: EmbeddedPostgres, folder: Path, *, rounds: int) -> dict[str, Any]:
    """A million rows of PostgreSQL (the table ``bench`` of the database of that name) and of SQLite."""
    file = folder / "bench.db"
    connection = sqlite3.connect(file)
    connection.execute("PRAGMA journal_mode=wal")
    connection.execute(_SQLITE)
    connection.execute(_FILL)
    connection.commit()
    connection.close()
    urls = {"postgresql": PostgresOrigin(server, "bench").url, "sqlite": f"sqlite:///{file}"}
    return {name: _compared(url, rounds=rounds) for name, url in urls.items()}


def _compared(url: str, *, rounds: int) -> dict[str, Any]:
    ways = ("bare", "typed", "extract", "copy") if url.startswith("sqlite") else ("bare", "extract", "copy")
    found: dict[str, list[dict[str, float]]] = {what: [] for what in ways}
    for _ in range(rounds):
        for what, results in found.items():
            results.append(_child(what, url))
    bare_mb = max(result["peak_mb"] for result in found["bare"])
    compared: dict[str, Any] = {"promise": "at least 0.6 of the rows a second of ADBC alone, by the adapter"}
    for what, results in found.items():
        rates = [ROWS / result["seconds"] for result in results]
        limits = [ROWS / result["seconds"] for result in found["bare"]]
        compared[what] = {
            "rows_per_s": round(statistics.median(rates)),
            "rate_ratio": round(statistics.median(mine / limit for mine, limit in zip(rates, limits, strict=True)), 2),
            "cpu_ratio": round(min(it["cpu_s"] for it in found["bare"]) / min(it["cpu_s"] for it in results), 2),
            "peak_mb": round(max(result["peak_mb"] for result in results)),
            "memory_ratio": round(max(result["peak_mb"] for result in results) / bare_mb, 2),
        }
    return compared


def _child(what: str, url: str) -> dict[str, float]:
    command = [sys.executable, "-m", "tests.benchmarks.sql", what, url]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, env=environment())
    result: dict[str, float] = json.loads(done.stdout)
    return result


def _bare(url: str) -> Iterator[int]:
    return (batch.num_rows for batch in _batches(url))


def _typed(url: str) -> Iterator[int]:
    """SQLite's values as the types that the table declares."""
    for batch in _batches(url):
        table = pa.Table.from_batches([batch])
        for name, kind in _TYPES.items():
            table = table.set_column(table.schema.get_field_index(name), name, table[name].cast(kind))
        yield table.num_rows


def _batches(url: str) -> Iterator[pa.RecordBatch]:
    """As a person would read the table with the client library."""
    if url.startswith("sqlite"):
        import adbc_driver_sqlite.dbapi

        connection = adbc_driver_sqlite.dbapi.connect(f"file:{url.removeprefix('sqlite:///')}?mode=ro")
        option = {"adbc.sqlite.query.batch_rows": "65536"}
    else:
        import adbc_driver_postgresql.dbapi

        connection = adbc_driver_postgresql.dbapi.connect(url)
        option = {"adbc.postgresql.batch_size_hint_bytes": str(4 * 1024 * 1024)}
    with connection, connection.cursor() as cursor:
        cursor.adbc_statement.set_options(**option)
        cursor.execute("SELECT * FROM bench")
        yield from cursor.fetch_record_batch()


def _extract(url: str) -> Iterator[int]:
    extractor = SqlExtractor("bench", open_database(parse_options("bench", {"url": url})), poll_s=60.0)
    schema = extractor.schema(SPEC)
    for rows in extractor.extract(SPEC, schema, {}).rows:
        assert rows.table.schema == schema.arrow()
        yield rows.table.num_rows
    extractor.close()


def _copy(url: str) -> Iterator[int]:
    source = adapters.sources.sql.build("bench", {"url": url})
    with source.begin([SPEC], epoch=0) as snapshot:
        for batch in snapshot.read("bench"):
            yield batch.row_count
    source.close()


def main() -> None:
    """``sql.py bare|typed|extract|copy URL``: one reading, and what it took."""
    what, url = sys.argv[1:]
    ways = {"bare": _bare, "typed": _typed, "extract": _extract, "copy": _copy}
    pa.array([1])
    psycopg.pq.version()
    started, started_cpu = time.perf_counter(), time.process_time()
    count = sum(ways[what](url))
    seconds, cpu_s = time.perf_counter() - started, time.process_time() - started_cpu
    assert count == ROWS
    print(json.dumps({"seconds": seconds, "cpu_s": cpu_s, "peak_mb": peak_mb()}))


if __name__ == "__main__":
    main()
