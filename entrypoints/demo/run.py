"""The demo: a shop's PostgreSQL, somebody working in it, its partners, and the pipeline ``shop`` behind it all.

The server, its tables, the work in it and the partners are those of ``server``, ``shop``, ``simulator`` and
``partners``; the rest is the product.
"""

from __future__ import annotations

import os
import shlex
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import attrs

from adapters.clock import SystemClock
from adapters.metrics.live import LiveMetrics, StreamView
from entrypoints import logs
from entrypoints.cli.invocation import logging_to, redactor, settings_of
from entrypoints.cli.options import Common
from entrypoints.cli.plain import plain, sync_json, transform_json, verify_json
from entrypoints.cli.stopping import stopping
from entrypoints.container import opened_groups
from entrypoints.demo.partners import Partners
from entrypoints.demo.report import Report, next_steps
from entrypoints.demo.server import EmbeddedPostgres
from entrypoints.demo.shop import count_rows, create_shop
from entrypoints.demo.workforce import Workforce
from entrypoints.display import change_table, copy_table, progress
from entrypoints.pipeline_file import load_pipeline
from pipeline.application.groups import stream_groups, sync_groups, verify_groups
from pipeline.application.session import Session
from pipeline.application.sync import SyncResult
from pipeline.application.threads import Workthread
from pipeline.application.transform import transform
from pipeline.application.verify import VerifyResult
from pipeline.domain.errors import ConfigError, Differs, TransformFailed
from pipeline.domain.stream import PipelineSpec
from pipeline.ports.transformer import TransformResult

PIPELINE = "shop"
#: Joins what came from the database with what came from the API.
MART = (
    "select revenue_date, order_count, revenue_amount, quote_currency, rate, converted_amount"
    " from marts.fct_revenue_by_currency order by 1 desc, 4 limit 6"
)

_POLL_S = 0.1


def run_demo(common: Common, *, seconds: float, rate: float, keep: bool) -> int:
    """Run the whole of it; returns the exit status. Leaves no process behind, however it ends."""
    report = Report(is_silent=common.as_json)
    settings = settings_of(common)
    with ExitStack() as stack:
        stack.enter_context(logging_to(settings, command="demo", name=PIPELINE, quiet=True))
        stack.enter_context(stopping(graceful=False))
        server = _start_server(stack)
        folder = settings.home / "var" / "demo"
        partners = stack.enter_context(Partners(folder / "suppliers"))
        told = {"SHOP_DSN": server.dsn("shop"), **partners.environment}
        groups = load_pipeline(
            PIPELINE, settings, environment={**os.environ, **told}, secrets=redactor().secrets
        ).groups
        _clear_file(groups[0])
        metrics = LiveMetrics(SystemClock())
        sessions = stack.enter_context(opened_groups(groups, logger=logs.logger(), metrics=(metrics,)))
        session = sessions[0]
        _refuse_used(sessions)
        if session.transformer is not None:
            session.transformer.warm()  # dbt takes seconds to import; the shop and its snapshot take some too
        _fill_shop(server, partners, report)
        _copy(sessions, metrics, report)
        _follow(
            sessions,
            metrics,
            report,
            workforce=Workforce(told["SHOP_DSN"], rate_per_s=rate),
            partners=partners,
            seconds=seconds,
        )
        _drain(sessions, report)
        _build(sessions, report)
        _compare(sessions, report)
        report.mart(MART, session.warehouse.query(MART))
        chosen = {name: text for name, text in os.environ.items() if name.startswith("PIPELINE_")}
        environment_file = _write_environment(folder, chosen | told) if keep else None
        log = settings.log.folder / f"{PIPELINE}.log"
        report.end(next_steps(session, log=log, environment=environment_file))
        while keep:
            time.sleep(1)
    return 0


def _start_server(stack: ExitStack) -> EmbeddedPostgres:
    server = EmbeddedPostgres()
    redactor().secrets.add(server.password)
    # Not as a context manager: an interrupt while it starts has to be cleaned up too.
    stack.callback(server.close)
    server.start()
    return server


def _fill_shop(server: EmbeddedPostgres, partners: Partners, report: Report) -> None:
    started = time.monotonic()
    create_shop(server.dsn())
    rows = count_rows(server.dsn("shop"))
    report.step(
        f"PostgreSQL is up on port {server.port}: a shop, {sum(rows.values()):,} rows in {len(rows)} tables",
        started=started,
    )
    report.line(f"Its partners are there: exchange rates at {partners.rates.url}, price lists of suppliers as files")


def _copy(sessions: Sequence[Session], metrics: LiveMetrics, report: Report) -> None:
    report.title("Consistent snapshot")
    with progress(hidden=report.is_silent, metrics=metrics, view=copy_table, is_lasting=True):
        result = sync_groups(sessions, with_transform=False)
    views = metrics.view()
    report.result("snapshot", sync_json(result, copies=views))
    report.line(f"{sum(view.copied_count for view in views):,} rows copied in {result.seconds:.1f} s")


def _follow(
    sessions: Sequence[Session],
    metrics: LiveMetrics,
    report: Report,
    *,
    workforce: Workforce,
    partners: Partners,
    seconds: float,
) -> None:
    rate = workforce.rate_per_s
    report.title(f"Streaming for {seconds:.0f} s while the shop commits {rate:.0f} transactions a second")
    stop = threading.Event()
    followed = [attrs.evolve(session, stop=stop) for session in sessions]
    following = _Background(lambda: stream_groups(followed, with_transform=False))
    try:
        following.start()
        with progress(hidden=report.is_silent, metrics=metrics, view=change_table, is_lasting=True):
            workforce.start()
            partners.start()
            _wait(seconds, lambda: following.is_alive and workforce.is_alive)
            workforce.stop()
            partners.stop()
    finally:
        stop.set()
        result = following.join()
        workforce.stop()
        partners.stop()
    report.result("stream", {**sync_json(result), "visible": plain(_latencies(metrics.view()))})
    report.line(f"{workforce.committed_count:,} transactions committed, {result.transaction_count:,} loaded meanwhile")


def _latencies(views: tuple[StreamView, ...]) -> dict[str, dict[str, float | None]]:
    return {view.stream: {"p50_s": view.visible_p50_s, "p99_s": view.visible_p99_s} for view in views}


def _drain(sessions: Sequence[Session], report: Report) -> None:
    report.title("Drained")
    result: SyncResult = sync_groups(sessions, with_transform=False)
    report.result("drain", sync_json(result))
    count = sum(counts.read_count for counts in result.counts.values())
    report.line(f"{count:,} changes were still on their way; caught up in {result.seconds:.1f} s")


def _build(sessions: Sequence[Session], report: Report) -> None:
    report.title("Marts by dbt")
    result: TransformResult = transform(sessions)
    report.result("transform", transform_json(result))
    report.transform(result)
    if result.failed:
        raise TransformFailed(
            f"dbt reported failures: {', '.join(node.name for node in result.failed)}", hint="See the log file."
        )


def _compare(sessions: Sequence[Session], report: Report) -> None:
    report.title("Sources = warehouse, row by row, each at one position")
    result: VerifyResult = verify_groups(sessions)
    report.result("verify", verify_json(result))
    report.verify(result)
    if not result.is_equal:
        raise Differs("source and warehouse differ", where=f"pipeline {PIPELINE}", hint="See the table above.")


def _clear_file(spec: PipelineSpec) -> None:
    """Remove what an earlier demo left, where the warehouse is a file."""
    if "path" in spec.warehouse.options:
        database = Path(str(spec.warehouse.options["path"]))
        database.parent.mkdir(parents=True, exist_ok=True)
        for path in (database, database.with_name(f"{database.name}.wal")):
            path.unlink(missing_ok=True)


def _refuse_used(sessions: Sequence[Session]) -> None:
    """Refuse a warehouse that holds the pipeline's tables: they may be somebody's, and the demo's shop is a new one."""
    warehouse = sessions[0].warehouse
    if any(warehouse.checkpoint(session.group) is not None for session in sessions):
        raise ConfigError(
            f"the warehouse already holds what a pipeline {PIPELINE} loaded",
            where=warehouse.name,
            hint="Name another database, or drop its schemas staging, changelog, quarantine and pipeline.",
        )


def _write_environment(folder: Path, variables: Mapping[str, str]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "shop.env"
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600), "w") as file:
        file.writelines(f"export {name}={shlex.quote(value)}\n" for name, value in variables.items())
    return path


def _wait(seconds: float, is_well: Callable[[], bool]) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and is_well():
        time.sleep(_POLL_S)


class _Background:
    """A call in a thread of its own; ``join`` gives what it returned, or raises what it raised."""

    def __init__(self, call: Callable[[], SyncResult]) -> None:
        self._call = call
        self._result: SyncResult | None = None
        self._error: BaseException | None = None
        self._thread = Workthread(self._run, name="stream")

    @property
    def is_alive(self) -> bool:
        return self._thread.is_alive()

    def start(self) -> None:
        self._thread.start()

    def join(self) -> Any:
        self._thread.outlast()
        if self._error is not None:
            raise self._error
        return self._result

    def _run(self) -> None:
        try:
            self._result = self._call()
        except BaseException as error:  # told by join
            self._error = error
