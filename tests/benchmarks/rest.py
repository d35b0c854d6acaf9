"""What reading an API costs on our side: extraction against the bare client library that reads and parses the same.

``rest.py serve`` is the API, in a process of its own, with its pages rendered beforehand; the others are one reading
each, in processes of their own so that their peak memory is their own: ``bare`` parses pages and makes no rows of them,
``typed`` makes Arrow rows of the columns' types beside, ``ours`` has declared columns and ``guessed`` finds them out.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from tests.benchmarks.memory import peak_mb
from tests.support.child import environment

if TYPE_CHECKING:
    from collections.abc import Iterator

ROWS = 300_000
PAGE_ROWS = 1_000

#: As the table ``bench``: ten columns of everyday types.
COLUMNS = {
    "id": "int64",
    "customer": "int32",
    "status": "text",
    "amount": "decimal(12, 2)",
    "weight": "double",
    "quantity": "int32",
    "created": "timestamptz",
    "day": "date",
    "note": "text",
    "flag": "bool",
}


def measure(*, rounds: int) -> dict[str, Any]:
    """Each round reads all pages in each of these ways."""
    found: dict[str, list[dict[str, float]]] = {"bare": [], "typed": [], "ours": [], "guessed": []}
    with _server() as url:
        for _ in range(rounds):
            for what, results in found.items():
                results.append(_child(what, url))
                assert results[-1]["rows"] == ROWS
    return {
        "rows": ROWS,
        "rows_per_second": {what: round(ROWS / min(_seconds(results))) for what, results in found.items()},
        **{
            f"speed_against_{limit}": {what: _ratio(found[limit], found[what]) for what in ("ours", "guessed")}
            for limit in ("bare", "typed")
        },
        "cpu_s": {what: round(min(result["cpu_s"] for result in results), 2) for what, results in found.items()},
        "peak_mb": {what: round(max(result["peak_mb"] for result in results)) for what, results in found.items()},
        "promise": "at least 0.6 of the bare client's speed",
    }


def _seconds(results: list[dict[str, float]]) -> list[float]:
    return [result["seconds"] for result in results]


def _ratio(bare: list[dict[str, float]], ours: list[dict[str, float]]) -> float:
    pairs = zip(_seconds(bare), _seconds(ours), strict=True)
    return round(statistics.median(limit / mine for limit, mine in pairs), 2)


@contextmanager
def _server() -> Iterator[str]:
    command = [sys.executable, "-m", "tests.benchmarks.rest", "serve"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment()) as server:
        assert server.stdout is not None
        try:
            yield server.stdout.readline().strip()
        finally:
            server.terminate()


def _child(what: str, url: str) -> dict[str, float]:
    command = [sys.executable, "-m", "tests.benchmarks.rest", what, url]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, env=environment())
    result: dict[str, float] = json.loads(done.stdout)
    return result


def serve() -> None:
    """Serve the pages until terminated; says where on the first line."""
    pages = [
        json.dumps(
            {
                "data": [_row(number) for number in range(first, min(first + PAGE_ROWS, ROWS))],
                "next": first + PAGE_ROWS if first + PAGE_ROWS < ROWS else None,
            }
        ).encode()
        for first in range(0, ROWS, PAGE_ROWS)
    ]

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            asked = parse_qs(urlsplit(self.path).query)
            body = pages[int(asked.get("after", ["0"])[0]) // PAGE_ROWS]
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    print(f"http://127.0.0.1:{server.server_port}", flush=True)
    server.serve_forever()


def bare(url: str) -> int:
    """All pages by the client library alone: read and parsed, and nothing more."""
    return sum(map(len, _pages(url)))


def typed(url: str) -> int:
    """All pages as Arrow rows of the columns' types, as a person would make them."""
    import pyarrow as pa

    from adapters.sources.rest.columns import type_of

    kinds = {name: type_of(word) for name, word in COLUMNS.items()}
    count = 0
    for page in _pages(url):
        table = pa.Table.from_pylist(page)
        arrays = [
            # Arrow casts no float to a decimal of fewer digits.
            (table[name].cast(pa.string()) if pa.types.is_decimal(kind) else table[name]).cast(kind)
            for name, kind in kinds.items()
        ]
        count += pa.table(arrays, names=list(kinds)).num_rows
    return count


def _pages(url: str) -> Iterator[list[dict[str, object]]]:
    import httpx

    after = None
    with httpx.Client() as client:
        while True:
            response = client.get(f"{url}/orders", params={} if after is None else {"after": after})
            page = response.raise_for_status().json()
            yield page["data"]
            after = page["next"]
            if after is None:
                return


def ours(url: str, *, columns: dict[str, str] = COLUMNS) -> int:
    """All pages as Arrow rows, as a first copy reads them."""
    from adapters.sources.rest.extractor import RestExtractor
    from adapters.sources.rest.options import parse_options
    from pipeline.domain.stream import StreamSpec

    read: dict[str, object] = {
        "record": "data",
        "paginate": {"kind": "cursor", "path": "next", "parameter": "after", "always_there": True},
    }
    stream = StreamSpec("orders", "/orders", "bench", read=read | ({"columns": columns} if columns else {}))
    extractor = RestExtractor("bench", parse_options("bench", {"url": url}))
    extraction = extractor.extract(stream, extractor.schema(stream), {})
    count = sum(rows.table.num_rows for rows in extraction.rows)
    extractor.close()
    return count


def _row(number: int) -> dict[str, object]:
    return {
        "id": number,
        "customer": number % 1000,
        "status": ("new", "paid", "sent", "done")[number % 4],
        "amount": number % 100_000 / 100,
        "weight": number / 7,
        "quantity": number % 10,
        "created": f"2026-01-{1 + number % 28:02}T{number % 24:02}:{number % 60:02}:{number // 60 % 60:02}Z",
        "day": f"2026-{1 + number % 12:02}-{1 + number % 28:02}",
        "note": f"note {number * 2654435761 % 2**64:032x}",
        "flag": number % 2 == 0,
    }


def main() -> None:
    """``rest.py serve``, or one reading of a URL; prints its seconds and peak memory."""
    what, *rest = sys.argv[1:]
    if what == "serve":
        serve()
        return
    readings: dict[str, Callable[[str], int]] = {
        "bare": bare,
        "typed": typed,
        "ours": ours,
        "guessed": lambda url: ours(url, columns={}),
    }
    started, started_cpu = time.perf_counter(), time.process_time()
    rows = readings[what](rest[0])
    seconds, cpu_s = time.perf_counter() - started, time.process_time() - started_cpu
    print(json.dumps({"rows": rows, "seconds": seconds, "cpu_s": cpu_s, "peak_mb": peak_mb()}))


if __name__ == "__main__":
    main()
