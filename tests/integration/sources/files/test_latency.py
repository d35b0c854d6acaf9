"""A local folder that is followed: a file is in the warehouse within a second, and an idle folder costs little."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from pipeline.application.session import Session
from pipeline.application.stream import follow
from pipeline.domain.events import BatchApplied, IdleCheckpoint
from pipeline.domain.stream import BatchLimits
from tests.support.folder_rig import FolderRig

#: A busy machine runs several tests at once: one of some files has to be there in time, the others not much later.
LATENCY_S = 1.0
LOOSELY_S = LATENCY_S * 10
FEWEST, MOST = 4, 20
#: How often a checkpoint tells that a look has found nothing.
IDLE_S = 1.0


@contextmanager
def following(rig: FolderRig) -> Iterator[Session]:
    session = rig.session()
    thread = threading.Thread(target=follow, args=(session,))
    thread.start()
    try:
        yield session
    finally:
        session.stop.set()
        thread.join(120)
        session.source.close()
    assert not thread.is_alive()


def _await(rig: FolderRig, kind: type, count: int, timeout_s: float = 120.0) -> None:
    """Wait until so many events of a kind have come."""
    deadline = time.monotonic() + timeout_s
    while len(rig.recorder.of(kind)) < count:
        assert time.monotonic() < deadline, f"no {kind.__name__} came"
        threading.Event().wait(0.005)


def test_a_file_dropped_into_a_followed_folder_is_loaded_within_a_second(rig: FolderRig) -> None:
    rig.put("a.csv", "id\n0\n")
    rig.run()
    took: list[float] = []
    with following(rig):
        while len(took) < FEWEST or (min(took) >= LATENCY_S and len(took) < MOST):
            number = len(took) + 1
            seen = len(rig.recorder.of(BatchApplied))
            dropped = time.monotonic()
            rig.put(f"{number}.csv", f"id\n{number}\n", modified=time.time())
            _await(rig, BatchApplied, seen + 1)
            took.append(time.monotonic() - dropped)
    assert rig.rows("id") == [(number,) for number in range(len(took) + 1)]
    assert min(took) < LATENCY_S
    assert sorted(took)[len(took) // 2] < LOOSELY_S


def test_following_an_idle_folder_of_a_thousand_files_costs_little_and_loads_nothing(rig: FolderRig) -> None:
    for number in range(1_000):
        rig.put(f"{number}.csv", f"id\n{number}\n")
    rig.run()
    loads = len(rig.recorder.of(BatchApplied))
    rig.limits = BatchLimits(idle_checkpoint_s=IDLE_S)
    with following(rig):
        _await(rig, IdleCheckpoint, 2)  # its first look, which reads the beginnings of all files, is not idle
        began, cpu = time.monotonic(), time.process_time()
        threading.Event().wait(3.0)
        _await(rig, IdleCheckpoint, 3)
        share = (time.process_time() - cpu) / (time.monotonic() - began)
    assert len(rig.recorder.of(BatchApplied)) == loads
    assert share < 0.25
