"""A local folder that is followed: a file is in the warehouse within a second, and an idle folder costs little."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from pipeline.application.session import Session
from pipeline.application.stream import follow
from pipeline.domain.events import BatchApplied
from tests.support.folder_rig import FolderRig

#: A busy machine runs several tests at once.
LOOSELY_S = 1.0 * 3


@contextmanager
def following(rig: FolderRig) -> Iterator[Session]:
    session = rig.session()
    thread = threading.Thread(target=follow, args=(session,))
    thread.start()
    try:
        yield session
    finally:
        session.stop.set()
        thread.join(30)
        session.source.close()
    assert not thread.is_alive()


def _await_batches(rig: FolderRig, count: int, timeout_s: float = 30.0) -> None:
    deadline = time.monotonic() + timeout_s
    while len(rig.recorder.of(BatchApplied)) < count:
        assert time.monotonic() < deadline, "nothing was loaded"
        threading.Event().wait(0.005)


def test_a_file_dropped_into_a_followed_folder_is_loaded_within_a_second(rig: FolderRig) -> None:
    rig.put("a.csv", "id\n0\n")
    rig.run()
    took = []
    with following(rig):
        for number in range(1, 5):
            seen = len(rig.recorder.of(BatchApplied))
            dropped = time.monotonic()
            rig.put(f"{number}.csv", f"id\n{number}\n", modified=time.time())
            _await_batches(rig, seen + 1)
            took.append(time.monotonic() - dropped)
    assert rig.rows("id") == [(number,) for number in range(5)]
    assert min(took) < 1.0
    assert sorted(took)[len(took) // 2] < LOOSELY_S


def test_following_an_idle_folder_of_a_thousand_files_costs_little_and_loads_nothing(rig: FolderRig) -> None:
    for number in range(1_000):
        rig.put(f"{number}.csv", f"id\n{number}\n")
    rig.run()
    loads = len(rig.recorder.of(BatchApplied))
    with following(rig):
        threading.Event().wait(4.0)  # its start, which reads the beginnings of all files, is not idle
        began, cpu = time.monotonic(), time.process_time()
        threading.Event().wait(3.0)
        share = (time.process_time() - cpu) / (time.monotonic() - began)
    assert len(rig.recorder.of(BatchApplied)) == loads
    assert share < 0.25
