"""Work side by side: all at once or some at a time, and what goes wrong in it."""

from __future__ import annotations

import threading
import time

import pytest

from pipeline.application import crew
from pipeline.application.crew import work_side_by_side
from pipeline.application.threads import Workthread
from tests.support.interruption import Interruption, interrupted


def test_tasks_wait_for_each_other_only_where_they_have_to() -> None:
    together = threading.Barrier(3, timeout=10)
    names: set[str] = set()

    def task() -> None:
        together.wait()
        assert not threading.current_thread().daemon, "it would be cut off when the process ends"
        names.add(threading.current_thread().name)

    work_side_by_side(dict.fromkeys(("a", "b", "c"), task), stop=threading.Event())
    assert names == {"group a", "group b", "group c"}


def test_no_more_than_asked_for_are_done_at_a_time_and_all_in_the_end() -> None:
    free = threading.Semaphore(2)
    done: list[str] = []

    def task() -> None:
        assert free.acquire(blocking=False), "a third one at the same time"
        threading.Event().wait(0.02)
        free.release()
        done.append(threading.current_thread().name)

    work_side_by_side({str(number): task for number in range(7)}, stop=threading.Event(), at_most=2)
    assert sorted(done) == [f"group {number}" for number in range(7)]


def test_one_task_needs_no_thread() -> None:
    names: list[str] = []
    work_side_by_side({"a": lambda: names.append(threading.current_thread().name)}, stop=threading.Event())
    assert names == [threading.current_thread().name]


def test_a_defect_in_one_asks_the_others_to_stop_and_is_raised() -> None:
    left: list[bool] = []
    stop = threading.Event()

    def defect() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        work_side_by_side({"a": lambda: left.append(stop.wait(10)), "b": defect}, stop=stop)
    assert left == [True]


def test_an_interruption_asks_all_to_stop_and_waits_for_those_that_leave() -> None:
    stop = threading.Event()
    left: list[bool] = []

    def task() -> None:
        left.append(stop.wait(10))
        time.sleep(0.3)  # as a statement that is under way
        left.append(True)

    with interrupted(after_s=0.2), pytest.raises(Interruption):
        work_side_by_side(dict.fromkeys(("a", "b"), task), stop=stop)
    assert left == [True] * 4


def test_a_thread_that_comes_to_life_after_an_interruption_does_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    go = threading.Event()
    started: list[threading.Thread] = []
    done: list[str] = []

    class Late(Workthread):
        """As on a busy machine: the interruption comes while its start is waited for."""

        def start(self) -> None:
            started.append(self)
            super().start()
            raise KeyboardInterrupt

        def run(self) -> None:
            go.wait(10)
            super().run()

        @property
        def ident(self) -> int | None:
            return super().ident if go.is_set() else None

    monkeypatch.setattr(crew, "Workthread", Late)
    with pytest.raises(KeyboardInterrupt):
        work_side_by_side({"a": lambda: done.append("a"), "b": lambda: done.append("b")}, stop=threading.Event())
    go.set()
    for thread in started:
        assert thread.wait(10)
    assert done == []
