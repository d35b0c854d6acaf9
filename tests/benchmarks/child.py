"""One measured part of a benchmark, in a process of its own so that its peak memory is its own.

Prints one JSON object: what was moved, how long it took, and the peak memory in MB.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from pathlib import Path

import attrs

import adapters.transform
from entrypoints.container import SWITCH_INTERVAL_S
from pipeline.application.groups import stream_groups
from pipeline.application.session import Session
from pipeline.domain.events import BatchApplied, CopyFinished, Event, TransformFinished
from pipeline.domain.stream import BatchLimits, Mode
from tests.benchmarks.memory import peak_mb
from tests.support.attached import attached_world
from tests.support.world import World

#: The shop's streams, when the benchmark runs behind the demo's shop.
SHOP = ("customers", "addresses", "products", "orders", "order_items", "payments")


def world_of(dsn: str, folder: Path) -> World:
    """The pipeline over the table ``bench``, or over the shop, of a database that the parent made."""
    world = attached_world(dsn, folder)
    world.limits = BatchLimits()
    for name in SHOP if world.database == "shop" else ("bench",):
        world.stream(name, mode=Mode.HISTORY if name == "customers" else Mode.MIRROR)
    return world


def run(world: World) -> dict[str, object]:
    """One bounded run: the first copy, or the drain of what was logged since."""
    started = time.perf_counter()
    result = world.run()
    seconds = time.perf_counter() - started
    copied = sum(event.row_count for event in world.recorder.of(CopyFinished))
    changes = sum(count.changelog_count for count in result.counts.values())
    return {"seconds": seconds, "copied": copied, "changes": changes, "batches": result.batch_count}


@attrs.define
class Visibility:
    """Commit-to-visible seconds of every transaction, from the events of loads."""

    world: World
    samples: list[float] = attrs.field(factory=list)

    def record(self, event: Event) -> None:
        """Take note of a load; its commits are taken as evenly spaced, which they are at a steady rate."""
        self.world.recorder.record(event)
        if isinstance(event, BatchApplied) and event.first_commit_at and event.last_commit_at:
            oldest = (event.at - event.first_commit_at).total_seconds()
            newest = (event.at - event.last_commit_at).total_seconds()
            step = (oldest - newest) / max(event.transaction_count - 1, 1)
            self.samples.extend(oldest - step * number for number in range(event.transaction_count))

    def quantile(self, share: float) -> float:
        """The sample that ``share`` of all do not exceed."""
        return sorted(self.samples)[min(int(len(self.samples) * share), len(self.samples) - 1)]


def latency(world: World, *, rate: int, seconds: float) -> dict[str, object]:
    """Commit-to-visible times while a writer commits ``rate`` transactions a second; with marts behind the shop."""
    visibility = Visibility(world)
    session = attrs.evolve(world.session(), metrics=visibility)
    if world.database == "shop":
        session = _with_marts(world, session)
    writer = threading.Thread(target=_write, args=(world.dsn, rate, seconds, session))
    writer.start()
    try:
        stream_groups([session])
    finally:
        writer.join()
        session.source.close()
    return {
        "transactions": len(visibility.samples),
        "p50": visibility.quantile(0.5),
        "p99": visibility.quantile(0.99),
        "worst": visibility.quantile(1.0),
        "builds": len(world.recorder.of(TransformFinished)),
    }


def _with_marts(world: World, session: Session) -> Session:
    warehouse = attrs.evolve(session.pipeline.warehouse, options={"path": str(world.folder / "warehouse.duckdb")})
    options = {"warehouse": warehouse, "work": str(world.folder / "dbt")}
    return attrs.evolve(
        session,
        pipeline=attrs.evolve(session.pipeline, transform_every_s=5.0),
        transformer=adapters.transform.build("dbt", options),
    )


def _write(dsn: str, rate: int, seconds: float, session: Session) -> None:
    command = [sys.executable, "-m", "tests.benchmarks.writer", dsn, str(rate), str(seconds)]
    subprocess.run(command, check=True, stdout=sys.stderr)
    time.sleep(2.0)  # what was committed last becomes visible too
    session.stop.set()


def main() -> None:
    """``child.py run DSN FOLDER`` or ``child.py latency DSN FOLDER RATE SECONDS``."""
    sys.setswitchinterval(SWITCH_INTERVAL_S)  # as every command does
    what, dsn, folder, *rest = sys.argv[1:]
    world = world_of(dsn, Path(folder))
    try:
        result = run(world) if what == "run" else latency(world, rate=int(rest[0]), seconds=float(rest[1]))
    finally:
        world.warehouse.close()
    result["peak_mb"] = peak_mb()
    print(json.dumps(result))


if __name__ == "__main__":
    main()
