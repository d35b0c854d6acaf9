"""Commits transactions at a steady rate: ``writer.py DSN RATE SECONDS``.

Into the table ``bench`` each inserts or updates one row; in the shop the demo's simulator commits its own.
"""

from __future__ import annotations

import sys
import time

import psycopg

from entrypoints.demo.simulator import Simulator

_INSERT = "INSERT INTO bench SELECT %s, 1, 'new', 1, 1, 1, now(), current_date, 'note', true"


def write_bench(dsn: str, *, rate: int, seconds: float) -> int:
    """Write until the time is over; how many transactions were committed."""
    count = 0
    with psycopg.connect(dsn, autocommit=True) as connection:
        base = connection.execute("SELECT coalesce(max(id), 0) + 1 FROM bench").fetchone()
        assert base is not None
        started = time.perf_counter()
        while (elapsed := time.perf_counter() - started) < seconds:
            while count < int(elapsed * rate):
                key = base[0] + count
                if count % 3 == 0:
                    connection.execute(_INSERT, [key])
                elif count % 3 == 1:
                    connection.execute("UPDATE bench SET amount = amount + 1 WHERE id = %s", [1 + count % 50_000])
                else:
                    connection.execute("UPDATE bench SET status = 'paid' WHERE id = %s", [key - 2])
                count += 1
            time.sleep(0.0005)
    return count


def write_shop(dsn: str, *, rate: int, seconds: float) -> int:
    """Let the shop work; how many transactions were committed."""
    with Simulator(dsn, rate_per_s=rate) as simulator:
        time.sleep(seconds)
    if simulator.error is not None:
        raise simulator.error
    return simulator.committed_count


def main() -> None:
    """Write, then tell the rate that was reached."""
    dsn, rate, seconds = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
    write = write_shop if dsn.endswith("/shop") else write_bench
    print(f"{write(dsn, rate=rate, seconds=seconds) / seconds:.0f} transactions a second")


if __name__ == "__main__":
    main()
