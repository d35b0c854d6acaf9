"""The table that the benchmarks copy and change: ten columns of everyday types, and what is done to it."""

from __future__ import annotations

import psycopg

CREATE = """
CREATE TABLE bench (
    id bigint PRIMARY KEY, customer int NOT NULL, status text NOT NULL, amount numeric(12,2) NOT NULL,
    weight float8, quantity int NOT NULL, created timestamptz NOT NULL, day date NOT NULL, note text, flag bool NOT NULL
)"""

_ROW = """
    n, n % 1000, (ARRAY['new','paid','sent','done'])[1 + n % 4], (n % 100000) / 100.0, n / 7.0, n % 10,
    timestamptz '2026-01-01' + n * interval '1 second', date '2026-01-01' + (n % 365)::int,
    'note ' || md5(n::text), n % 2 = 0"""

FILL = "INSERT INTO bench SELECT {row} FROM generate_series({first}, {last}) n"

#: One transaction of 1,000 changes: 500 inserts, 400 updates, 100 deletes.
CHURN = """
DO $$
DECLARE base bigint := {base};
BEGIN
    FOR i IN 0..{transactions} - 1 LOOP
        INSERT INTO bench SELECT {row} FROM generate_series(base + i * 500, base + i * 500 + 499) n;
        UPDATE bench SET status = 'paid', amount = amount + 1 WHERE id BETWEEN base + i * 500 AND base + i * 500 + 399;
        DELETE FROM bench WHERE id BETWEEN base + i * 500 + 400 AND base + i * 500 + 499;
        COMMIT;
    END LOOP;
END $$"""


def create(dsn: str, rows: int) -> None:
    """Create the table with ``rows`` rows."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(CREATE)
        connection.execute(FILL.format(row=_ROW, first=1, last=rows))  # type: ignore[arg-type] # built from constants
        connection.execute("VACUUM ANALYZE bench")


def churn(dsn: str, *, base: int, changes: int) -> None:
    """Commit ``changes`` changes in transactions of 1,000, on ids from ``base`` on."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        statement = CHURN.format(row=_ROW, base=base, transactions=changes // 1_000)
        connection.execute(statement)  # type: ignore[arg-type] # built from constants
