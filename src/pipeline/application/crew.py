"""Does the work of several groups side by side, in threads, since most of it is waiting for other systems."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence

from pipeline.application.session import Stop
from pipeline.application.threads import Workthread

#: How long work that is under way may take to leave when the process is to end at once, in seconds.
LEAVE_S = 5.0


def work_side_by_side(tasks: Mapping[str, Callable[[], None]], *, stop: Stop, at_most: int | None = None) -> None:
    """Do every task, ``at_most`` of them at a time (None: all), each in a thread that bears its name.

    A task keeps its own results, and what may be expected to fail. Whatever else is raised in one is a defect: the stop
    is set so that the others leave, and it is raised here. A task by itself is done in the calling thread.
    """
    if len(tasks) == 1:
        for task in tasks.values():
            task()
        return
    waiting = iter(tasks.items())
    taking = threading.Lock()
    defects: list[BaseException] = []
    left = threading.Event()

    def take() -> tuple[str, Callable[[], None]] | None:
        with taking:
            return None if defects or left.is_set() else next(waiting, None)

    def work() -> None:
        while (taken := take()) is not None:
            name, task = taken
            threading.current_thread().name = f"group {name}"
            try:
                task()
            except BaseException as error:
                defects.append(error)
                stop.set()

    _join([Workthread(work) for _ in range(min(at_most or len(tasks), len(tasks)))], asked=(left, stop))
    if defects:
        raise defects[0]


def _join(threads: Sequence[Workthread], *, asked: Sequence[Stop]) -> None:
    """Run the threads; where this one is to end at once, all that is ``asked`` to is set and it waits ``LEAVE_S`` for
    them. Those that are left lose what is closed next, and the process ends only after them.
    """
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.wait()
    except BaseException:
        for event in asked:
            event.set()
        deadline = time.monotonic() + LEAVE_S
        for thread in threads:
            thread.wait(max(deadline - time.monotonic(), 0.0))
        raise
