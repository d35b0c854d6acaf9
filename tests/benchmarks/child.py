"""One measured part of a benchmark, in a process of its own so that its peak memory is its own.

Prints one JSON object: seconds, peak memory in MB, and what was moved.
"""

from __future__ import annotations

import json
import resource
import sys
import threading
import time
from pathlib import Path

import attrs
import psycopg

from pipeline.application.stream import stream
from pipeline.domain.events import BatchApplied, CopyFinished
from pipeline.domain.stream import BatchLimits, SystemSpec
from tests.support.attached import attached_world
from tests.support.world import World


def world(dsn: str, folder: Path) -> World:
    """The pipeline over the table ``bench`` of a database that the parent made."""
    world = attached_world(dsn, folder)
    world.limits = BatchLimits()
    world.stream("bench")
    return world


def run(dsn: str, folder: Path) -> dict[str, object]:
    """One bounded run: the first copy, or the drain of what was logged since."""
    here = world(dsn, folder)
    started = time.perf_counter()
    result = here.run()
    seconds = time.perf_counter() - started
    copied = sum(event.row_count for event in here.recorder.of(CopyFinished))
    changes = sum(count.changelog_count for count in result.counts.values())
    return {"seconds": seconds, "copied": copied, "changes": changes, "batches": result.batch_count}


def latency(dsn: str, folder: Path, *, rate: int, seconds: float, marts: bool) -> dict[str, object]:
    """Commit-to-visible times while a writer commits ``rate`` transactions a second."""
    here = world(dsn, folder)
    session = here.session()
    if marts:
        session = attrs.evolve(session, transformer=_transformer(folder), pipeline=_with_marts(session.pipeline))
    samples: list[float] = []
    record = here.recorder.record

    def observe(event: object) -> None:
        record(event)  # type: ignore[arg-type] # every event is one
        if isinstance(event, BatchApplied) and event.last_commit_at and event.first_commit_at:
            # Commits are evenly spaced at a steady rate, so a batch's lags run evenly between its two ends.
            first = (event.at - event.first_commit_at).total_seconds()
            last = (event.at - event.last_commit_at).total_seconds()
            step = (first - last) / max(event.transaction_count - 1, 1)
            samples.extend(first - step * number for number in range(event.transaction_count))

    here.recorder.record = observe  # type: ignore[method-assign] # measures where events arrive
    writer = threading.Thread(
        target=_write, args=(dsn,), kwargs={"rate": rate, "seconds": seconds, "stop": session.stop}
    )
    writer.start()
    stream(session, with_transform=marts)
    writer.join()
    session.source.close()
    samples.sort()
    return {
        "transactions": len(samples),
        "p50": samples[len(samples) // 2],
        "p99": samples[int(len(samples) * 0.99)],
        "worst": samples[-1],
    }


def _write(dsn: str, *, rate: int, seconds: float, stop: threading.Event) -> None:
    """Commit at a steady rate in a process of its own, then let the pipeline drain for a moment and stop it."""
    import subprocess

    subprocess.run(
        [sys.executable, "-m", "tests.benchmarks.writer", dsn, str(rate), str(seconds)], check=True, stdout=sys.stderr
    )
    time.sleep(2.0)
    stop.set()


def _transformer(folder: Path):  # type: ignore[no-untyped-def] # Transformer
    raise NotImplementedError


def _with_marts(spec):  # type: ignore[no-untyped-def] # PipelineSpec
    return attrs.evolve(spec, transform=SystemSpec("dbt", "dbt"), transform_every_s=5.0)


def wait_for(dsn: str) -> None:
    """Fail early where the database is not there."""
    psycopg.connect(dsn).close()


def main() -> None:
    """``child.py run DSN FOLDER`` or ``child.py latency DSN FOLDER RATE SECONDS MARTS``."""
    what, dsn, folder, *rest = sys.argv[1:]
    wait_for(dsn)
    if what == "run":
        result = run(dsn, Path(folder))
    else:
        result = latency(dsn, Path(folder), rate=int(rest[0]), seconds=float(rest[1]), marts=rest[2] == "marts")
    result["peak_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps(result))


if __name__ == "__main__":
    main()
