"""Prefetch: one item ahead, in order, errors in their place, no thread left behind."""

import threading

import pytest

from pipeline.application.prefetch import Prefetch, ahead


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
    before = threading.active_count()
    with Prefetch(lambda: 1) as items:
        for _ in items:
            break
    assert threading.active_count() == before


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
