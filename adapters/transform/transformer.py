"""The transformer port over dbt: builds what is downstream of changed streams in one warm child process.

What is promised of a mart when something fails: a model that fails keeps its previous table, and so does every model
behind it. A table that fails one of its tests of severity ``error`` never replaces the one before: in DuckDB they
run inside the model's transaction (macro ``audit``), in Snowflake before anything is put in place (macros of
``publishing``). Tests that compare a model with another one that it is not built from run after the model: there the
table is already in place when they fail, the failure is in the result, and models behind it are not built.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Collection
from pathlib import Path

from adapters.transform import artifacts, inspection, selection
from adapters.transform.options import DbtOptions
from adapters.transform.process import Worker, WorkerGone
from pipeline.domain.errors import ConfigError, PipelineError, TransformFailed, WarehouseUnreachable
from pipeline.domain.finding import Finding, Level
from pipeline.ports.transformer import TransformResult


class DbtTransformer:
    """Runs one dbt project. Starts its child on ``warm`` or on the first ``build``, anew if it has ended."""

    def __init__(self, options: DbtOptions) -> None:
        self._options = options
        self._lock = threading.Lock()
        self._worker: Worker | None = None

    @property
    def pid(self) -> int | None:
        """The child's process id while it runs."""
        worker = self._worker
        return worker.pid if worker is not None and worker.is_alive else None

    def warm(self) -> None:
        """Start the child, which imports dbt and parses the project in the background. Never raises."""
        if any(finding.level is Level.ERROR for finding in self.inspect()):
            return  # build tells why
        try:
            self._running().send({"do": "parse"})
        except OSError:
            return

    def build(
        self, tables: Collection[str] | None = None, *, absent: Collection[str] = (), full_refresh: bool = False
    ) -> TransformResult:
        """See ``Transformer.build``. Raises ``WarehouseUnreachable`` if another process keeps the file locked."""
        self._check()
        started = time.monotonic()
        if tables is not None and not tables:
            return TransformResult(nodes=(), seconds=0.0)
        arguments = selection.arguments(tables, self._options.select, absent=absent)
        arguments += ["--full-refresh"] if full_refresh else []
        worker = self._running()
        try:
            request = worker.send({"do": "build", "arguments": arguments})
            answer = worker.answer(request, timeout_s=self._options.timeout_s)
        except WorkerGone:
            worker.stop()
            raise TransformFailed(
                "dbt's process ended, or took too long, before the marts were built",
                where=self._where,
                hint="The previous marts are in place; run it again.",
            ) from None
        if answer["status"] != "done":
            raise self._error(answer)
        results = Path(answer["results"])
        result = artifacts.read(results, seconds=time.monotonic() - started)
        # dbt's own messages are in there, and may hold values.
        results.unlink(missing_ok=True)
        return result

    def inspect(self) -> tuple[Finding, ...]:
        """Check project, profile and packages without starting dbt."""
        return inspection.inspect(self._options)

    def close(self) -> None:
        """Stop the child, also in the middle of a build. A later ``build`` starts another."""
        with self._lock:
            worker, self._worker = self._worker, None
        if worker is not None:
            worker.stop()

    @property
    def _where(self) -> str:
        return f"dbt {self._options.project}"

    def _check(self) -> None:
        path = self._options.duckdb_path
        error = inspection.missing("duckdb" if path else "snowflake", python=self._options.python)
        if error is not None:
            raise error
        problems = [finding for finding in self.inspect() if finding.level is Level.ERROR]
        if problems:
            first = problems[0]
            raise ConfigError(first.what, where=first.where, hint=first.hint)
        if path is not None and not path.exists():
            raise TransformFailed(
                "there is no warehouse to build marts from", where=str(path), hint="Load something into it first."
            )

    def _running(self) -> Worker:
        with self._lock:
            if self._worker is None or not self._worker.is_alive:
                options = self._options
                setup = {
                    "project": str(options.project),
                    "profiles": str(options.profiles),
                    "target": options.target,
                    "work": str(options.work) if options.work else None,
                    "duckdb_path": str(options.duckdb_path) if options.duckdb_path else None,
                    "memory_limit_bytes": options.memory_limit_bytes,
                    "lock_timeout_s": options.lock_timeout_s,
                }
                self._worker = Worker.start(setup, options.environment, python=options.python)
            return self._worker

    def _error(self, answer: dict[str, object]) -> PipelineError:
        if answer["status"] == "locked":
            return WarehouseUnreachable(
                f"the file is held by another process for more than {self._options.lock_timeout_s:g} s",
                where=f"duckdb {self._options.duckdb_path}",
                hint="Close the program that has it open, then start again.",
            )
        if answer["status"] == "unreachable":
            return WarehouseUnreachable(
                f"dbt could not reach Snowflake ({answer['error']})",
                where=self._where,
                hint="Check account, network and proxy, then start again.",
            )
        if answer["status"] == "refused":
            return TransformFailed(
                f"Snowflake refused what dbt asked for ({answer['error']})",
                where=self._where,
                hint="Check how the pipeline file's warehouse section signs in, and what its role may do.",
                error_class=answer["error"],
            )
        variable = answer.get("variable")
        hint = f"Set the environment variable {variable}." if variable else ""
        return TransformFailed(
            f"dbt could not run ({answer['error']})",
            where=self._where,
            hint=hint
            or f"See why with: dbt parse --project-dir {self._options.project} --target {self._options.target}",
            error_class=answer["error"],
        )
