"""What reading files costs beyond the bare library that only reads the same: rows a second and peak memory.

``python -m tests.benchmarks.files WHO FORMAT FOLDER`` reads once, in a process of its own, and tells what it took.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.json
import pyarrow.parquet

from adapters.sources.files.extractor import FilesExtractor
from adapters.sources.files.options import source_options
from pipeline.domain.stream import StreamSpec
from tests.benchmarks.memory import peak_mb
from tests.support.child import environment

ROWS = 1_000_000
FILES = 4
PROMISE = "at least 0.6 of the rows a second of the bare library"


def files(folder: Path, *, rounds: int) -> dict[str, Any]:
    """A million rows in four files of each format, by the bare library and by the extraction of a first copy, in turn.

    Types of columns are guessed by both.
    """
    _write(folder)
    return {form: _compared(form, folder, rounds=rounds) for form in ("csv", "jsonl", "parquet")}


def _compared(form: str, folder: Path, *, rounds: int) -> dict[str, Any]:
    bare, ours = [], []
    for _ in range(rounds):
        bare.append(_child("bare", form, folder))
        ours.append(_child("ours", form, folder))
        assert bare[-1]["rows"] == ours[-1]["rows"] == ROWS
    ratios = [limit["seconds"] / mine["seconds"] for limit, mine in zip(bare, ours, strict=True)]
    peaks = {"bare": max(it["peak_mb"] for it in bare), "ours": max(it["peak_mb"] for it in ours)}
    return {
        "bare_rows_per_s": [round(ROWS / it["seconds"]) for it in bare],
        "our_rows_per_s": [round(ROWS / it["seconds"]) for it in ours],
        "ratio": [round(ratio, 2) for ratio in ratios],
        "median_ratio": round(statistics.median(ratios), 2),
        "cpu_ratio": round(min(it["cpu_s"] for it in bare) / min(it["cpu_s"] for it in ours), 2),
        "bare_peak_mb": round(peaks["bare"]),
        "our_peak_mb": round(peaks["ours"]),
        "peak_ratio": round(peaks["ours"] / peaks["bare"], 2),
        "promise": PROMISE,
    }


def _child(who: str, form: str, folder: Path) -> dict[str, Any]:
    command = [sys.executable, "-m", "tests.benchmarks.files", who, form, str(folder)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, env=environment())
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def _by_the_library(form: str, folder: Path) -> int:
    return sum(batch.num_rows for path in sorted(folder.glob(f"*.{form}")) for batch in _batches(form, path))


def _batches(form: str, path: Path) -> Iterator[pa.RecordBatch]:
    if form == "csv":
        yield from pa.csv.open_csv(path)
    elif form == "jsonl":
        yield from pa.json.open_json(path)
    else:
        yield from pa.parquet.ParquetFile(path).iter_batches()


def _by_us(form: str, folder: Path) -> int:
    extractor = FilesExtractor("bench", source_options("bench", {"url": str(folder)}))
    spec = StreamSpec(name="bench", relation="bench", source="bench", read={"path": f"*.{form}", "min_age_s": 0.0})
    schema = extractor.schema(spec)
    return sum(rows.table.num_rows for rows in extractor.extract(spec, schema, {}).rows)


def _write(folder: Path) -> None:
    for number in range(FILES):
        table = _table(number * ROWS // FILES, ROWS // FILES)
        pa.csv.write_csv(table, folder / f"{number}.csv")
        pa.parquet.write_table(table, folder / f"{number}.parquet")
        with (folder / f"{number}.jsonl").open("w") as file:
            for row in table.to_pylist():
                file.write(json.dumps(row, default=str) + "\n")


def _table(first: int, count: int) -> pa.Table:
    numbers = np.arange(first, first + count)
    return pa.table(
        {
            "id": numbers,
            "customer": numbers % 1000,
            "status": np.array(["new", "paid", "sent", "done"])[numbers % 4],
            "amount": (numbers % 100_000) / 100,
            "weight": numbers / 7.0,
            "quantity": numbers % 10,
            "created": pa.array(1_767_225_600_000_000 + numbers * 1_000_000).cast(pa.timestamp("us", "UTC")),
            "day": pa.array((20_454 + numbers % 365).astype(np.int32)).cast(pa.date32()),
            "note": [f"note {number * 2654435761 % 2**64:016x}" for number in numbers.tolist()],
            "flag": numbers % 2 == 0,
        }
    )


def main() -> None:
    """Read once."""
    who, form, folder = sys.argv[1:]
    read = _by_us if who == "ours" else _by_the_library
    started, started_cpu = time.perf_counter(), time.process_time()
    rows = read(form, Path(folder))
    seconds, cpu_s = time.perf_counter() - started, time.process_time() - started_cpu
    print(json.dumps({"rows": rows, "seconds": seconds, "cpu_s": cpu_s, "peak_mb": peak_mb()}))


if __name__ == "__main__":
    main()
