"""Prefetch: one item ahead, in order, errors in their place, no thread left behind."""

import threading
import time

import pytest

from pipeline.application import prefetch
from pipeline.application.prefetch import Prefetch, ahead
from pipeline.application.threads import Workthread
from tests.support.interruption import Interruption, interrupted


def test_yields_every_item_in_order() -> None:
    with ahead(iter(range(100))) as items:
        assert list(items) == list(range(100))


def test_raises_the_producers_error_in_its_place() -> None:
    def numbers():
        yield 1
        raise KeyError("broken")

    with ahead(numbers()) as items:
        each = iter(items)
        assert next(each) == 1
        with pytest.raises(KeyError, match="broken"):
            next(each)


def test_never_works_further_ahead_than_its_depth() -> None:
    produced: list[int] = []

    def produce() -> int:
        produced.append(len(produced))
        return produced[-1]

    with Prefetch(produce, depth=1) as items:
        for item in items:
            # One consumed, one waiting in the queue, one in the producer's hand.
            assert len(produced) <= item + 3
            if item == 200:
                break


def test_leaves_no_thread_behind_when_its_consumer_breaks_off() -> None:
    before = set(threading.enumerate())
    with Prefetch(lambda: 1) as items:
        for _ in items:
            break
    assert set(threading.enumerate()) - before == set()


def test_waits_to_be_asked_after_an_item_that_is_not_worth_working_ahead() -> None:
    produced: list[int] = []

    def produce() -> int:
        produced.append(len(produced))
        return produced[-1]

    with Prefetch(produce, is_eager=lambda item: item < 3) as items:
        each = iter(items)
        for expected in range(10):
            assert next(each) == expected
            if expected >= 4:
                # The next one may be on its way since this one was asked for, but none behind it.
                assert len(produced) <= expected + 2
        before = len(produced)
        threading.Event().wait(0.3)
        assert len(produced) <= before + 1


def test_what_it_reads_is_closed_only_after_the_producer_has_left_however_often_that_is_interrupted() -> None:
    told: list[str] = []

    def pieces():
        try:
            yield "a"
            time.sleep(0.5)  # as a call that cannot be broken off
            told.append("read")
            yield "b"
        finally:
            told.append("closed")

    with interrupted(after_s=0.1, times=3), pytest.raises(Interruption), ahead(pieces()) as items:
        assert [item for item in items if time.sleep(10)] == []
    assert told == ["read", "closed"]


def test_an_interruption_of_its_start_leaves_no_thread_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[Workthread] = []

    class Interrupted(Workthread):
        def start(self) -> None:
            started.append(self)
            super().start()
            raise Interruption

    monkeypatch.setattr(prefetch, "Workthread", Interrupted)
    with pytest.raises(Interruption), Prefetch(lambda: 1):
        pass
    assert started[0].wait(10)
