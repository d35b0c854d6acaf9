"""Writes tables as Parquet files and uploads them to the stage, several at a time, while more are written.

Each attempt at a load has a folder of its own there: the service skips a file that it loaded before, by its name. It
is removed when the attempt is over, whatever came of it, unless the service cannot be reached; then a later run sweeps
it. What the files are for is told in ``load``, ``compare`` and ``rebuild``; columns and types are ``files``'.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path
from types import TracebackType

import pyarrow as pa
import pyarrow.parquet as pq

from adapters.warehouses.snowflake.errors import is_transient
from adapters.warehouses.snowflake.files import STAGE, FileColumn, as_file
from adapters.warehouses.snowflake.session import Session
from adapters.warehouses.snowflake.sessions import Sessions
from adapters.warehouses.snowflake.statement import Statement
from adapters.warehouses.snowflake.workfolders import WorkFolder
from pipeline.domain.errors import CommitUnknown, PipelineError

#: A file is full at so many bytes: large enough to load fast, small enough that several are loaded side by side.
FILE_BYTES = 100_000_000

#: A folder whose newest file is as old as this is left over from a process that died: one that is alive goes on
#: uploading, or its statements take less than a day.
LEFTOVER_AGE = timedelta(days=1)

#: What folders of attempts are called: the day for people, then what no other attempt has.
_FOLDER = re.compile(r"\d{8}-[0-9a-f]{32}")


class Uploads:
    """The files of one attempt; a context that removes them from disk and stage in the end. One thread's, as its
    session is.
    """

    def __init__(self, sessions: Sessions) -> None:
        self.folder = f"{datetime.now(UTC):%Y%m%d}-{uuid.uuid4().hex}"
        options = sessions.options
        self._sessions = sessions
        self._session = sessions.get()
        self._disk = WorkFolder(options.work_folder)
        self._pool = ThreadPoolExecutor(options.upload_threads, thread_name_prefix="upload")
        self._waiting: list[Future[None]] = []
        self._most_waiting = 2 * options.upload_threads
        self._count = 0

    def __enter__(self) -> Uploads:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close(after=error)

    def add(self, table: pa.Table, columns: Sequence[FileColumn]) -> str:
        """Upload a table as one file; its name. Returns before it is there: see ``wait``."""
        growing = Growing(self, columns)
        growing.add(table)
        return growing.finish()[0]

    def growing(self, columns: Sequence[FileColumn]) -> Growing:
        """Files that take many tables, each file uploaded once it is full."""
        return Growing(self, columns)

    def next_path(self) -> Path:
        """Where the next file is to be written."""
        self._count += 1
        return self._disk.path / f"{self._count}.parquet"

    def send(self, path: Path) -> None:
        """Upload a finished file in the background; waits while many others wait (P11)."""
        while len(self._waiting) >= self._most_waiting:
            self._waiting.pop(0).result()
        self._waiting.append(self._pool.submit(self._put, path))

    def wait(self) -> None:
        """Return when everything is in the stage; raises the first error."""
        while self._waiting:
            self._waiting.pop(0).result()

    def close(self, *, after: BaseException | None = None) -> None:
        """Stop uploading and remove the files; safe to call twice. ``after`` an error that says that the service cannot
        be reached, or a stop signal, what is in the stage is left to be swept.
        """
        self._pool.shutdown(cancel_futures=True)
        if after is None or (isinstance(after, Exception) and not _is_cut_off(after)):
            self._remove()
        self._disk.remove()

    def _remove(self) -> None:
        """Remove the folder from the stage, by the session at hand: for this none is signed in."""
        session = self._sessions.at_hand() if self._count else None
        self._count = 0
        if session is not None:
            with suppress(PipelineError):
                session.execute(_removal(self.folder))

    def _put(self, path: Path) -> None:
        self._session.put(path, f"{STAGE}/{self.folder}/")
        path.unlink(missing_ok=True)


class Growing:
    """Files of one layout that are written piece by piece."""

    def __init__(self, uploads: Uploads, columns: Sequence[FileColumn]) -> None:
        self.columns = tuple(columns)
        self.row_count = 0
        self._uploads = uploads
        self._names: list[str] = []
        self._path: Path | None = None
        self._writer: pq.ParquetWriter | None = None

    def add(self, table: pa.Table) -> None:
        """Write rows as a row group of the present file, and send the file if it is full."""
        rows = as_file(table, self.columns)
        if self._writer is None or self._path is None:
            self._path = self._uploads.next_path()
            self._names.append(self._path.name)
            self._writer = pq.ParquetWriter(
                str(self._path), rows.schema, compression="zstd", coerce_timestamps="us", store_schema=False
            )
        self._writer.write_table(rows)
        self.row_count += rows.num_rows
        if self._path.stat().st_size >= FILE_BYTES:
            self._send()

    def finish(self) -> tuple[str, ...]:
        """Send the last file; the names of all."""
        self._send()
        return tuple(self._names)

    def _send(self) -> None:
        if self._writer is not None and self._path is not None:
            self._writer.close()
            self._uploads.send(self._path)
            self._writer = self._path = None


def sweep(session: Session) -> None:
    """Remove folders that processes left in the stage when they died."""
    for folder in left_over(session.named_rows(Statement(f"LIST {STAGE}")), now=datetime.now(UTC)):
        with suppress(PipelineError):
            session.execute(_removal(folder))


def left_over(files: Iterable[Mapping[str, object]], *, now: datetime) -> list[str]:
    """Folders of attempts that are long over, by ``name`` and ``last_modified`` of the files that ``LIST`` told. Names
    begin with the stage's.
    """
    newest: dict[str, datetime] = {}
    for file in files:
        folder = str(file["name"]).rpartition("/")[0].rpartition("/")[2]
        at = parsedate_to_datetime(str(file["last_modified"]))
        newest[folder] = max(at, newest.get(folder, at))
    return sorted(folder for folder, at in newest.items() if _FOLDER.fullmatch(folder) and now - at > LEFTOVER_AGE)


def _removal(folder: str) -> Statement:
    """Without the slash it would be any name that begins so."""
    return Statement(f"REMOVE {STAGE}/{folder}/")


def _is_cut_off(error: Exception) -> bool:
    return isinstance(error, CommitUnknown) or is_transient(error)
