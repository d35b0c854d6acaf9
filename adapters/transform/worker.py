"""The child process: imports dbt once, then runs one invocation after another, one JSON line in, one JSON line out.

It imports nothing else of this project, keeps nothing between invocations but dbt's parsed project, and ends when
its standard input does, whatever it is doing: no process outlives the one that started it.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

_POLL_S = 0.005

#: DuckDB has one class for every trouble with files; only its text tells a lock from the rest.
_LOCKED = "Could not set lock on file"

_QUIET = ["--log-level", "none", "--log-level-file", "none", "--no-print", "--no-version-check", "--no-use-colors"]


class Locked(Exception):
    """Another process kept the warehouse's file past the time allowed."""


class Dbt:
    """dbt within this process; ``target`` is the folder that its artifacts go to."""

    def __init__(self, setup: dict[str, Any], target: Path) -> None:
        from dbt.cli.main import dbtRunner

        self._runner = dbtRunner
        self._project = Path(setup["project"])
        self._common = ["--project-dir", setup["project"], "--profiles-dir", setup["profiles"]]
        self._common += ["--target", setup["target"], *_QUIET]
        self._path: str | None = setup["duckdb_path"]
        self._memory_limit: int | None = setup["memory_limit_bytes"]
        self._lock_timeout_s: float = setup["lock_timeout_s"]
        self._target = target
        self._manifest: Any = None
        self._files: dict[str, tuple[int, int]] = {}

    def parse(self) -> dict[str, Any]:
        """Parse the project, unless its files are as they were."""
        files = {
            str(file): (status.st_mtime_ns, status.st_size)
            for file in sorted(self._project.rglob("*"))
            if file.suffix in {".sql", ".yml", ".yaml", ".py", ".csv", ".md"} and (status := file.stat())
        }
        if self._manifest is not None and files == self._files:
            return {"status": "done"}
        self._manifest = None
        done = self._runner().invoke(["parse", *self._common])
        if not done.success:
            return _failure(done.exception)
        self._manifest, self._files = done.result, files
        return {"status": "done"}

    def build(self, arguments: list[str]) -> dict[str, Any]:
        """Run ``dbt build``; the results are in the file that the answer names."""
        answer = self.parse()
        if answer["status"] != "done":
            return answer
        results = self._target / "run_results.json"
        results.unlink(missing_ok=True)
        with self._held():
            done = self._runner(manifest=self._manifest).invoke(["build", *self._common, *arguments])
        if done.exception is not None and not results.exists():
            return _failure(done.exception)
        return {"status": "done", "results": str(results)}

    @contextlib.contextmanager
    def _held(self) -> Iterator[None]:
        """Keep the DuckDB file open from before dbt's first statement until after its last.

        So one build sees one state of the warehouse, waits for the file once and with a bound, and gives it back
        whole: dbt's own connections share this one's database and are closed before it (``keep_open: false``).
        """
        if self._path is None:
            yield
            return
        connection = self._connect(self._path)
        try:
            # Nothing may be fetched over the network.
            connection.execute("SET GLOBAL autoinstall_known_extensions = false")
            connection.execute("SET GLOBAL autoload_known_extensions = false")
            if self._memory_limit:
                connection.execute(f"SET GLOBAL memory_limit = '{self._memory_limit} bytes'")
            yield
        finally:
            _let_go()
            connection.close()

    def _connect(self, path: str) -> Any:
        import duckdb

        deadline = time.monotonic() + self._lock_timeout_s
        while True:
            try:
                # The same (empty) configuration as dbt's own connections have, or they could not share the database.
                return duckdb.connect(path)
            except duckdb.IOException as error:
                if _LOCKED not in str(error):
                    raise
                if time.monotonic() >= deadline:
                    raise Locked from None
            # The loader lets go for milliseconds at a time under load: look often.
            time.sleep(_POLL_S)


def _let_go() -> None:
    """Close what dbt's own connections keep open of the file: those of a microbatch model's threads outlive a build."""
    from dbt.adapters.duckdb.connections import DuckDBConnectionManager
    from dbt.adapters.factory import FACTORY

    for adapter in FACTORY.adapters.values():
        adapter.connections.cleanup_all()
    DuckDBConnectionManager.close_all_connections()


def main() -> None:
    """Answer requests until standard input ends. The first line is the setup, the others are requests."""
    answers = _take_stdout()
    setup = json.loads(sys.stdin.readline() or "null")
    if setup is None:
        return
    work = setup["work"]
    if work:
        Path(work).mkdir(parents=True, exist_ok=True)
    target = Path(tempfile.mkdtemp(prefix="run-", dir=work))
    os.environ.update(DBT_TARGET_PATH=str(target), DBT_LOG_PATH=str(target), DBT_SEND_ANONYMOUS_USAGE_STATS="false")
    requests: queue.Queue[dict[str, Any]] = queue.Queue()
    threading.Thread(target=_listen, args=(requests, target), daemon=True).start()
    dbt: Dbt | None = None
    while True:
        request = requests.get()
        try:
            dbt = dbt or Dbt(setup, target)
            answer = dbt.build(request["arguments"]) if request["do"] == "build" else dbt.parse()
        except Locked:
            answer = {"status": "locked"}
        except Exception as error:  # every failure becomes an answer, the process goes on
            answer = _failure(error)
        answers.write(json.dumps({**answer, "id": request["id"]}) + "\n")
        answers.flush()


def _take_stdout() -> TextIO:
    """Keep standard output for answers alone: whatever prints (dbt does) goes nowhere, since it may hold values."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    return answers


def _listen(requests: queue.Queue[dict[str, Any]], target: Path) -> None:
    for line in sys.stdin:
        requests.put(json.loads(line))
    # Whoever started us is gone or wants us gone. An open transaction is undone when the file is next opened.
    shutil.rmtree(target, ignore_errors=True)
    os._exit(0)


def _failure(error: BaseException | None) -> dict[str, Any]:
    """Why dbt could not run: the error's class, and the environment variable where one is missing; no message."""
    for link in _chain(error):
        if type(link).__module__ == "snowflake.connector.errors":
            return _refusal(link)
    return {"status": "failed", "error": type(error).__name__, "variable": getattr(error, "var", None)}


def _refusal(error: BaseException) -> dict[str, Any]:
    """Whether the service was out of reach, or said no: by the class and number of the driver's error."""
    name, number = type(error).__name__, getattr(error, "errno", None)
    status = "unreachable" if name == "OperationalError" else "refused"
    return {"status": status, "error": f"{name} {number:06d}" if isinstance(number, int) else name}


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


if __name__ == "__main__":
    main()
