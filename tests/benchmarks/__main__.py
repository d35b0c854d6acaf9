"""Measures the pipeline against the limits of the database itself, in one run: ``make bench``.

Each round runs the limit and the pipeline one after the other, since machines are noisy; the ratio of each round is
what counts. The limits are ``COPY ... TO STDOUT`` to nothing and ``pg_recvlogical`` to nothing.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import psycopg

from entrypoints.demo.server import EmbeddedPostgres
from entrypoints.demo.shop import create_shop
from tests.benchmarks import table
from tests.benchmarks.files import files as read_files
from tests.benchmarks.rest import measure as read_api
from tests.benchmarks.snowflake import PATH_ROWS, upload, whole_path
from tests.benchmarks.sql import reading
from tests.support.child import ROOT, environment

CHANGES = 500_000
ROWS = 1_000_000


def main() -> None:
    """Run all parts, or those named."""
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parts = ["copy", "drain", "latency", "marts", "snowflake", "sql", "files", "rest"]
    parser.add_argument("parts", nargs="*", default=parts)
    parser.add_argument("--rounds", type=int, default=3, help="rounds of copy and drain (default 3)")
    parser.add_argument("--seconds", type=float, default=20.0, help="length of the latency parts (default 20)")
    parser.add_argument("--rate", type=int, default=500, help="transactions a second in them (default 500)")
    chosen = parser.parse_args()
    results: dict[str, Any] = {}
    measures = {"copy": copy, "drain": drain, "latency": latency, "marts": marts, "snowflake": snowflake, "sql": sql}
    measures |= {"files": files, "rest": rest}
    for part in chosen.parts:
        settings = {"max_wal_size": "8GB", "checkpoint_timeout": "30min"}
        with EmbeddedPostgres(settings=settings) as server, tempfile.TemporaryDirectory() as folder:
            results[part] = measures[part](server, Path(folder), chosen)
            print(json.dumps({part: results[part]}, indent=2), flush=True)
    target = ROOT / "var" / "bench.json"
    target.parent.mkdir(exist_ok=True)
    target.write_text(json.dumps(results, indent=2))


def copy(server: EmbeddedPostgres, folder: Path, chosen: argparse.Namespace) -> dict[str, Any]:
    """First copy of a million rows into changelog, staging table and checkpoint, against COPY to nothing."""
    dsn = _database(server, "bench", rows=ROWS)
    limits, ours = [], []
    for number in range(chosen.rounds):
        limits.append(_copy_to_nothing(server, dsn))
        ours.append(_child("run", dsn, folder / str(number)))
        assert ours[-1]["copied"] == ROWS
        _drop_slots(dsn)
    return _compared(limits, ours, promise="at most twice the time of COPY")


def drain(server: EmbeddedPostgres, folder: Path, chosen: argparse.Namespace) -> dict[str, Any]:
    """Half a million logged changes into changelog, staging table and checkpoint, against pg_recvlogical to nothing."""
    dsn = _database(server, "bench", rows=100_000)
    _child("run", dsn, folder)
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("SELECT pg_create_logical_replication_slot('nothing', 'pgoutput')")
    limits, ours = [], []
    for number in range(chosen.rounds):
        table.churn(dsn, base=1_000_000 * (number + 1), changes=CHANGES)
        limits.append(_receive_to_nothing(server, dsn))
        ours.append(_child("run", dsn, folder))
        assert ours[-1]["changes"] == CHANGES
    return _compared(limits, ours, promise="at most twice the time of pg_recvlogical")


def latency(server: EmbeddedPostgres, folder: Path, chosen: argparse.Namespace) -> dict[str, Any]:
    """Commit to visible, at a steady rate of small transactions on a table of 300,000 rows."""
    dsn = _database(server, "bench", rows=300_000)
    _child("run", dsn, folder)
    return _child("latency", dsn, folder, chosen.rate, chosen.seconds) | {"promise": "p50 < 0.5 s, p99 < 2 s"}


def marts(server: EmbeddedPostgres, folder: Path, chosen: argparse.Namespace) -> dict[str, Any]:
    """The same in the demo's shop of 300,000 rows and six streams, while dbt builds behind it every five seconds."""
    create_shop(server.dsn())
    dsn = server.dsn("shop")
    _child("run", dsn, folder)
    return _child("latency", dsn, folder, chosen.rate, chosen.seconds)


def files(_server: EmbeddedPostgres, folder: Path, chosen: argparse.Namespace) -> dict[str, Any]:
    """A million rows of each format, against the bare library that only reads the same."""
    return read_files(folder, rounds=chosen.rounds)


def snowflake(server: EmbeddedPostgres, folder: Path, chosen: argparse.Namespace) -> dict[str, Any]:
    """Rows to files on the stage, against the bare connector; then a copy and a drain through the emulator."""
    _database(server, "bench", rows=PATH_ROWS)
    return {"upload": upload(folder, rounds=chosen.rounds), "whole_path": whole_path(server, folder)}


def sql(server: EmbeddedPostgres, folder: Path, chosen: argparse.Namespace) -> dict[str, Any]:
    """A million rows without a log, against ADBC alone that reads the same."""
    _database(server, "bench", rows=ROWS)
    return reading(server, folder, rounds=chosen.rounds)


def rest(server: EmbeddedPostgres, folder: Path, chosen: argparse.Namespace) -> dict[str, Any]:
    """An API's pages as rows, against the bare client library that only reads and parses them."""
    return read_api(rounds=chosen.rounds)


def _database(server: EmbeddedPostgres, name: str, *, rows: int) -> str:
    with psycopg.connect(server.dsn(), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")  # type: ignore[arg-type] # a constant
    table.create(server.dsn(name), rows)
    return server.dsn(name)


def _copy_to_nothing(server: EmbeddedPostgres, dsn: str) -> float:
    started = time.perf_counter()
    subprocess.run([server.bin / "psql", dsn, "-qc", "COPY bench TO STDOUT"], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - started


def _receive_to_nothing(server: EmbeddedPostgres, dsn: str) -> float:
    with psycopg.connect(dsn, autocommit=True) as connection:
        end = connection.execute("SELECT pg_current_wal_lsn()").fetchone()
        (publication,) = connection.execute("SELECT pubname FROM pg_publication").fetchall()
    assert end is not None
    options = ["-o", "proto_version=4", "-o", f"publication_names={publication[0]}"]
    command = [server.bin / "pg_recvlogical", "-d", dsn, "--slot", "nothing", "--start", "--no-loop", "-f", "/dev/null"]
    started = time.perf_counter()
    subprocess.run([*command, "--endpos", end[0], *options], check=True)
    return time.perf_counter() - started


def _drop_slots(dsn: str) -> None:
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(
            "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE database = current_database()"
        )


def _child(what: str, dsn: str, folder: Path, *arguments: object) -> dict[str, Any]:
    folder.mkdir(exist_ok=True)
    command = [sys.executable, "-m", "tests.benchmarks.child", what, dsn, str(folder), *map(str, arguments)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, env=environment() | {"HOME": os.environ["HOME"]})
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def _compared(limits: list[float], ours: list[dict[str, Any]], *, promise: str) -> dict[str, Any]:
    seconds = [result["seconds"] for result in ours]
    ratios = [mine / limit for mine, limit in zip(seconds, limits, strict=True)]
    return {
        "limit_s": [round(value, 2) for value in limits],
        "pipeline_s": [round(value, 2) for value in seconds],
        "ratio": [round(value, 2) for value in ratios],
        "median_ratio": round(statistics.median(ratios), 2),
        "peak_mb": round(max(result["peak_mb"] for result in ours)),
        "promise": promise,
    }


if __name__ == "__main__":
    main()
