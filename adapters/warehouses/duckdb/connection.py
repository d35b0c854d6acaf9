"""Opens and closes the database file, waiting for other processes that hold it.

DuckDB's own lock on the file keeps a second writer out. What is run on a connection is told elsewhere.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from pipeline.domain.errors import ConfigError, WarehouseError, WarehouseUnreachable

#: How long to wait between two tries to open a file that another process holds.
POLL_S = 0.02

#: Between loads that follow each other the file stays open for so long, since opening it costs as much as a small load;
#: but not longer than ``TURN_S`` in one go, and then others get ``GAP_S`` to take it.
LINGER_S = 0.1
TURN_S = 1.0
GAP_S = 0.03

#: Where loads of several groups overlap, new ones wait for those under way once a turn is over, so that it comes to an
#: end: for ``YIELD_S`` at first, twice as long each time that was not enough. The next turn is ``YIELD_SHARE`` times as
#: long as the wait, so that a copy that takes an hour does not hold up the others much.
YIELD_S = 1.0
LONGEST_YIELD_S = 10.0
YIELD_SHARE = 3

#: DuckDB has one class for every trouble with files; only its text tells a lock from a full disk.
_LOCKED = "Could not set lock on file"
_HOLDER = re.compile(r"Conflicting lock is held in (?P<program>.+?) \(PID (?P<pid>\d+)\)")

#: Nothing may be fetched over the network; the extensions used are part of the library. The order of rows in a table
#: means nothing, and keeping it would leave each insert to one thread.
_FIXED = {
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "preserve_insertion_order": "false",
}


class Database:
    """One database file, opened while somebody in this process holds it."""

    def __init__(self, path: Path, *, settings: Mapping[str, str], wait_s: float) -> None:
        self.path = path
        #: Held by whoever makes or alters tables. Loads do not need it: those of several groups run side by side, each
        #: in a transaction over tables of its own.
        self.altering = threading.RLock()
        self._settings = {**_FIXED, **settings}
        self._wait_s = wait_s
        self._turn = threading.Condition()
        self._connection: duckdb.DuckDBPyConnection | None = None
        self._is_read_only = False
        self._holder_count = 0
        self._opened_at = 0.0
        self._turn_s, self._yield_s = TURN_S, YIELD_S
        self._closed_at = 0.0
        self._linger: threading.Timer | None = None

    @property
    def exists(self) -> bool:
        """Whether the file is there, without opening it."""
        return self.path.exists()

    def make_folder(self) -> None:
        """Make the file's folder where it is missing; raises ``ConfigError`` where that is not possible."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigError(
                f"the folder of the file cannot be made ({type(error).__name__})",
                where=f"duckdb {self.path}",
                hint="Set the warehouse's path to a folder that you may write to.",
            ) from None

    @contextmanager
    def hold(self, *, read_only: bool = False) -> Iterator[duckdb.DuckDBPyConnection]:
        """A connection of its own for the caller; the file is closed when the last one leaves.

        Raises ``WarehouseUnreachable`` if another process keeps the file longer than the time allowed, and translates
        DuckDB's errors within the context.
        """
        with translated(self.path):
            cursor = self.acquire(read_only=read_only)
            try:
                yield cursor
            finally:
                self.release(cursor)

    def acquire(self, *, read_only: bool = False) -> duckdb.DuckDBPyConnection:
        """As ``hold``, for holders that outlive a block; to be given back to ``release``."""
        with self._turn:
            self._end_turn()
            if not read_only:
                self._turn.wait_for(lambda: not (self._holder_count and self._is_read_only))
            self._stop_lingering()
            if self._connection is None:
                self._give_way()
                self._connection = self._open(read_only=read_only)
                self._is_read_only = read_only
                self._opened_at = time.monotonic()
            self._holder_count += 1
            try:
                cursor = self._connection.cursor()
                cursor.execute("SET TimeZone = 'UTC'")
            except BaseException:
                self._leave(lingering=False)
                raise
            return cursor

    def release(self, cursor: duckdb.DuckDBPyConnection) -> None:
        """Roll back what is open and close the file if nobody else in this process holds it."""
        try:
            cursor.close()
        finally:
            self._leave()

    def settle(self) -> None:
        """Close the file, what is in DuckDB's log written into the file itself; not while somebody holds it."""
        with self._turn:
            if self._holder_count:
                return
            self._stop_lingering()
            self._close()
        if self.path.with_name(self.path.name + ".wal").exists():
            with self.hold() as connection:
                connection.execute("CHECKPOINT")
            with self._turn:
                self._stop_lingering()
                self._close()

    def _leave(self, *, lingering: bool = True) -> None:
        with self._turn:
            self._holder_count -= 1
            if self._holder_count == 0 and self._connection is not None:
                if not lingering or self._is_read_only or time.monotonic() - self._opened_at >= TURN_S:
                    self._close()
                else:
                    # No daemon: the process aborts if it ends while a daemon is closing the file.
                    self._linger = threading.Timer(LINGER_S, self._end_linger)
                    self._linger.start()
            self._turn.notify_all()

    def _is_turn_over(self) -> bool:
        return time.monotonic() - self._opened_at >= self._turn_s

    def _end_turn(self) -> None:
        """Once the turn is over, wait for those who hold the file to leave it; where they take long, begin another."""
        if not self._holder_count or self._is_read_only or not self._is_turn_over():
            return
        if not self._turn.wait_for(lambda: not (self._holder_count and self._is_turn_over()), timeout=self._yield_s):
            self._opened_at = time.monotonic()
            self._yield_s = min(2 * self._yield_s, LONGEST_YIELD_S)
            self._turn_s = YIELD_SHARE * self._yield_s

    def _stop_lingering(self) -> None:
        if self._linger is not None:
            self._linger.cancel()
            self._linger = None

    def _end_linger(self) -> None:
        with self._turn:
            if self._linger is not None and self._holder_count == 0:
                self._linger = None
                self._close()

    def _close(self) -> None:
        if self._connection is not None:
            connection, self._connection = self._connection, None
            self._closed_at = time.monotonic()
            self._turn_s, self._yield_s = TURN_S, YIELD_S
            connection.close()

    def _give_way(self) -> None:
        """Wait for the rest of the gap that others have to take the file in."""
        gap_s = self._closed_at + GAP_S - time.monotonic()
        if self._closed_at - self._opened_at >= TURN_S and gap_s > 0:
            time.sleep(gap_s)

    def _open(self, *, read_only: bool) -> duckdb.DuckDBPyConnection:
        deadline = time.monotonic() + self._wait_s
        while True:
            try:
                connection = duckdb.connect(str(self.path), read_only=read_only, config=dict(self._settings))
                if not read_only:
                    # A checkpoint rewrites whole row groups: too much for each small load. DuckDB makes one by itself
                    # once its log has grown (checkpoint_threshold), and ``settle`` at the end.
                    connection.execute("PRAGMA disable_checkpoint_on_shutdown")
                return connection
            except duckdb.Error as error:
                holder = _holder(error)
                if holder is None:
                    raise
                if time.monotonic() >= deadline:
                    raise WarehouseUnreachable(
                        f"the file is held by {holder} for more than {self._wait_s:g} s",
                        where=f"duckdb {self.path}",
                        hint="Close the program that has it open, then start again.",
                    ) from None
            time.sleep(POLL_S)


def first_row(
    connection: duckdb.DuckDBPyConnection, query: str, values: Mapping[str, object] | None = None
) -> tuple[Any, ...] | None:
    """The first row of a short result, None if it has none.

    The result is read to its end: before, DuckDB refuses other work on the connection.
    """
    rows = connection.execute(query, None if values is None else dict(values)).fetchall()
    return rows[0] if rows else None


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """Raise DuckDB's errors as ``WarehouseError`` with their class alone: their texts may hold row values (P10)."""
    try:
        yield
    except (duckdb.Error, pa.ArrowException) as error:
        raise WarehouseError(
            f"DuckDB failed with {type(error).__name__}",
            where=f"duckdb {path}",
            hint=_HINTS.get(type(error), "Look at the file with the duckdb command; nothing of the load was kept."),
            error_class=type(error).__name__,
        ) from None


_HINTS: dict[type[Exception], str] = {
    duckdb.OutOfMemoryException: "Raise memory_limit, or lower the batch limits.",
    duckdb.IOException: "Check that the folder exists, is writable and has free space, and that it is a DuckDB file.",
    duckdb.CatalogException: "Run setup, or check that nobody dropped the pipeline's tables.",
}


def _holder(error: duckdb.Error) -> str | None:
    """Who holds the file, None if it is another error."""
    if isinstance(error, duckdb.ConnectionException):
        return "another part of this process with other settings"
    if not isinstance(error, duckdb.IOException) or _LOCKED not in str(error):
        return None
    found = _HOLDER.search(str(error))
    return f"{Path(found['program']).name} (process {found['pid']})" if found else "another process"
