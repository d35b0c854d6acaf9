"""One session of the service: statements in, Arrow tables and counts out, errors as the product's own.

How to sign in is ``options``'; what is run, and within which transaction, is told elsewhere. A session is used by one
thread at a time, but for ``put``, which may run in several.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from adapters.warehouses.snowflake.errors import translated
from adapters.warehouses.snowflake.options import SnowflakeOptions
from adapters.warehouses.snowflake.patience import persevere
from adapters.warehouses.snowflake.statement import Statement, literal

if TYPE_CHECKING:
    from snowflake.connector import SnowflakeConnection
    from snowflake.connector.cursor import SnowflakeCursor

PRODUCT = "realtime-data-pipeline"

#: What an account or a user may have set otherwise, and our statements and results rely on:
#: https://docs.snowflake.com/en/sql-reference/parameters
PINNED: dict[str, str | int | bool] = {
    "TIMEZONE": "UTC",
    "TIMESTAMP_TYPE_MAPPING": "TIMESTAMP_NTZ",
    "TIMESTAMP_INPUT_FORMAT": "AUTO",
    "DATE_INPUT_FORMAT": "AUTO",
    "TIME_INPUT_FORMAT": "AUTO",
    "BINARY_INPUT_FORMAT": "HEX",
    "QUOTED_IDENTIFIERS_IGNORE_CASE": False,
    "DEFAULT_DDL_COLLATION": "",  # keys are equal where their bytes are
    "ERROR_ON_NONDETERMINISTIC_MERGE": True,  # two rows of one key are a defect, never a choice
    "ROWS_PER_RESULTSET": 0,  # all of them
    "USE_CACHED_RESULT": True,  # so that what did not change is read without a warehouse (P12)
    "PYTHON_CONNECTOR_QUERY_RESULT_FORMAT": "ARROW",
    "ABORT_DETACHED_QUERY": True,
}


class Session:
    """A signed-in session. Its time zone is UTC, its values are bound by the service, and each statement outside of
    ``transaction`` commits by itself.

    All methods raise what ``errors.translated`` makes of the connector's errors.
    """

    def __init__(self, connection: SnowflakeConnection, place: str) -> None:
        self._connection = connection
        self._place = place
        self._is_closed = False
        self._used_at = time.monotonic()

    @property
    def id(self) -> int:
        """The session's number, as ``SHOW TRANSACTIONS`` tells it."""
        return int(self._connection.session_id)

    @property
    def is_usable(self) -> bool:
        """Whether the connector still takes statements; not whether the service does."""
        return not self._is_closed and not self._connection.is_closed()

    @property
    def idle_s(self) -> float:
        """For how many seconds nothing was run."""
        return time.monotonic() - self._used_at

    def execute(self, statement: Statement) -> int:
        """Run a statement; how many rows it changed or returned."""
        with self._run(statement) as cursor:
            return int(cursor.rowcount or 0)

    def rows(self, statement: Statement) -> list[tuple[Any, ...]]:
        """Run a query with a short result."""
        with self._run(statement) as cursor:
            return list(cursor.fetchall())

    def named_rows(self, statement: Statement) -> list[dict[str, Any]]:
        """Run a query or ``SHOW`` with a short result; each row by the names of its columns."""
        with self._run(statement) as cursor:
            names = [column.name for column in cursor.description]
            return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]

    def query(self, statement: Statement) -> pa.Table:
        """Run a query; its result with the connector's Arrow types, timestamps in microseconds."""
        with self._run(statement) as cursor:
            # the connector could put the pieces together itself, but only where pandas is installed
            tables = list(cursor.fetch_arrow_batches(force_microsecond_precision=True))
            if tables:
                return pa.concat_tables(tables, promote_options="permissive")
            names = [column.name for column in cursor.description]
            return pa.Table.from_arrays([pa.nulls(0) for _ in names], names=names)

    def batches(self, statement: Statement) -> Iterator[pa.Table]:
        """As ``query``, in parts of bounded size (P11), as the service cut them; other statements may run meanwhile.

        Parts can be fetched for six hours: what may take longer is read by ``paging``.
        """
        with self._run(statement) as cursor:
            yield from cursor.fetch_arrow_batches(force_microsecond_precision=True)

    def put(self, path: Path, folder: str) -> None:
        """Upload a file into a folder of a stage (``@"SCHEMA"."STAGE"/some/folder``), as it is."""
        source = literal(f"file://{path.absolute().as_posix()}")
        text = f"PUT {source} {folder} AUTO_COMPRESS = FALSE SOURCE_COMPRESSION = NONE OVERWRITE = TRUE"
        self.execute(Statement(text))

    @contextmanager
    def transaction(self) -> Iterator[Session]:
        """Commit at the end, or roll back after any error."""
        self.execute(Statement("BEGIN"))
        try:
            yield self
            self.execute(Statement("COMMIT"))
        except BaseException:
            self.roll_back()
            raise

    def roll_back(self) -> None:
        """Undo what is open. Where even that fails, the session is closed, by which the service undoes it."""
        try:
            self.execute(Statement("ROLLBACK"))
        except Exception:  # whatever the reason, it must not hide the error that led here
            self.close()

    def close(self) -> None:
        """Sign out; safe to call twice, and where the service is gone."""
        self._is_closed = True  # where the service is gone the connector may not count it as closed
        with suppress(Exception):
            self._connection.close(retry=False)

    @contextmanager
    def _run(self, statement: Statement) -> Iterator[SnowflakeCursor]:
        with translated(self._place), self._connection.cursor() as cursor:
            cursor.execute(statement.text, statement.values or None)
            self._used_at = time.monotonic()
            yield cursor


def open_session(options: SnowflakeOptions, **told: str) -> Session:
    """Sign in, trying for up to ``retry_s`` while nobody answers. ``told`` is what the session is for, such as a
    pipeline; it is added to the tag that the query history shows.

    Raises ``WarehouseUnreachable``, ``WarehouseRejected`` or ``WarehouseError``.
    """
    from snowflake.connector import connect  # takes seconds to import

    # When something goes wrong the connector logs what it sent, values and signed addresses too (P10).
    logging.getLogger("snowflake.connector").setLevel(logging.CRITICAL)
    tag = {"product": PRODUCT, **{key: value for key, value in told.items() if value}}
    parameters = {
        **PINNED,
        "QUERY_TAG": json.dumps(tag, separators=(",", ":")),
        "STATEMENT_TIMEOUT_IN_SECONDS": int(options.statement_timeout_s),
        "LOCK_TIMEOUT": int(options.lock_timeout_s),
    }

    def sign_in() -> SnowflakeConnection:
        with translated(options.place):
            return connect(
                **options.connect,
                paramstyle="qmark",
                autocommit=True,
                arrow_number_to_decimal=True,  # else numbers with decimals come as floating point
                session_parameters=parameters,
            )

    return Session(persevere(sign_in, retry_s=options.retry_s), options.place)
