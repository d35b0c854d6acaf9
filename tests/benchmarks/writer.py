"""Commits transactions at a steady rate: ``writer.py DSN RATE SECONDS``. Each inserts, updates or deletes one row."""

from __future__ import annotations

import sys
import time

import psycopg


def main() -> None:
    """Write until the time is over; tell the rate reached."""
    dsn, rate, seconds = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
    started = time.perf_counter()
    count = 0
    insert = "INSERT INTO bench SELECT %s, 1, 'new', 1, 1, 1, now(), current_date, 'note', true"
    with psycopg.connect(dsn, autocommit=True) as connection:
        base = connection.execute("SELECT coalesce(max(id), 0) + 1 FROM bench").fetchone()
        assert base is not None
        while (elapsed := time.perf_counter() - started) < seconds:
            due = int(elapsed * rate)
            while count < due:
                key = base[0] + count
                if count % 3 == 0:
                    connection.execute(insert, [key])
                elif count % 3 == 1:
                    connection.execute("UPDATE bench SET amount = amount + 1 WHERE id = %s", [1 + count % 50_000])
                else:
                    connection.execute("UPDATE bench SET status = 'paid' WHERE id = %s", [key - 2])
                count += 1
            time.sleep(0.0005)
    print(f"{count / (time.perf_counter() - started):.0f} transactions a second")


if __name__ == "__main__":
    main()
