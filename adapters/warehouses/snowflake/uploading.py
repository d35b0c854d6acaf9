"""Writes tables as Parquet files and uploads them to the stage, several at a time, while more are written.

Each attempt at a load has a folder of its own there: the service skips a file that it loaded before, by its name. What
the files are for is told in ``load``, ``compare`` and ``rebuild``; columns and types are ``files``'.
"""

from __future__ import annotations

import tempfile
import uuid
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType

import pyarrow as pa
import pyarrow.parquet as pq

from adapters.warehouses.snowflake.files import STAGE, FileColumn, as_file
from adapters.warehouses.snowflake.options import SnowflakeOptions
from adapters.warehouses.snowflake.session import Session
from adapters.warehouses.snowflake.statement import Statement
from pipeline.domain.errors import PipelineError

#: A file is full at so many bytes: large enough to load fast, small enough that several are loaded side by side.
FILE_BYTES = 100_000_000

#: A folder as old as this is left over from a process that died.
LEFTOVER_AGE = timedelta(days=1)

_DAY = "%Y%m%d"


class Uploads:
    """The files of one attempt; a context that removes what it put on disk, but not what is in the stage."""

    def __init__(self, session: Session, options: SnowflakeOptions) -> None:
        self.folder = f"{datetime.now(UTC).strftime(_DAY)}-{uuid.uuid4().hex}"
        self._session = session
        if options.work_folder is not None:
            options.work_folder.mkdir(parents=True, exist_ok=True)
        self._disk = tempfile.TemporaryDirectory(prefix="snowflake-", dir=options.work_folder)
        self._pool = ThreadPoolExecutor(options.upload_threads, thread_name_prefix="upload")
        self._waiting: list[Future[None]] = []
        self._most_waiting = 2 * options.upload_threads
        self._count = 0

    @property
    def is_empty(self) -> bool:
        """Whether nothing was uploaded, so that nothing is to be removed."""
        return self._count == 0

    def __enter__(self) -> Uploads:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

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
        return Path(self._disk.name) / f"{self._count}.parquet"

    def send(self, path: Path) -> None:
        """Upload a finished file in the background; waits while many others wait (P11)."""
        while len(self._waiting) >= self._most_waiting:
            self._waiting.pop(0).result()
        self._waiting.append(self._pool.submit(self._put, path))

    def wait(self) -> None:
        """Return when everything is in the stage; raises the first error."""
        while self._waiting:
            self._waiting.pop(0).result()

    def remove(self) -> None:
        """Remove the attempt's folder from the stage; where that fails it is swept later."""
        if not self.is_empty:
            with suppress(PipelineError):
                self._session.execute(Statement(f"REMOVE {STAGE}/{self.folder}/"))

    def close(self) -> None:
        """Stop uploading and remove what is on disk; safe to call twice."""
        self._pool.shutdown(cancel_futures=True)
        with suppress(OSError):
            self._disk.cleanup()

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
    """Remove folders that processes left in the stage when they died; another one's present files are younger."""
    oldest = (datetime.now(UTC) - LEFTOVER_AGE).strftime(_DAY)
    prefix = f"{STAGE.removeprefix('@').rpartition('.')[2].lower()}/"
    folders = {str(row["name"]).removeprefix(prefix).partition("/")[0] for row in session.named_rows(_LIST)}
    for folder in sorted(folders):
        if folder.partition("-")[0] < oldest:
            with suppress(PipelineError):
                session.execute(Statement(f"REMOVE {STAGE}/{folder}/"))


_LIST = Statement(f"LIST {STAGE}")
